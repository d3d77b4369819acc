#!/usr/bin/env bash
# Cephalo-Idefics-2-vision-10b-alpha and -beta: 8 layers on top of 8b-beta, then those 8 trained;
# alpha is the model after epoch 1, beta after epoch 2. The merge needs a disk with 60 GB and no
# GPU; training 1.7 billion parameters in full fits one 80 GB GPU. About 5 minutes per million
# tokens and epoch (epochs: 2) on one A100 80 GB, assumed to reach 30% of its 312 TFLOP/s.
#
#   DATASET=my-lab/my-figures NAMESPACE=my-lab bash idefics2-10b.sh
#
# Further arguments go to `cephalo train`. On several cards: the same with
# `accelerate launch -m cephalo.cli.main train` in place of `cephalo train`.
set -euo pipefail
: "${DATASET:?set DATASET to a dataset that cephalo publish made}"
: "${NAMESPACE:?set NAMESPACE to where you may push}"

# 32 layers of 8b-beta and the last 8 of idefics2-8b-chatty
[ -d runs/10b-merged ] || cephalo merge 10b.yml --out runs/10b-merged

# only the new layers train
cephalo train --config idefics2-10b.yaml --dataset_name "$DATASET" \
  --push_to_hub --hub_model_id "$NAMESPACE/Cephalo-Idefics-2-vision-10b" \
  --epoch_models "$NAMESPACE/Cephalo-Idefics-2-vision-10b-alpha" \
  "$NAMESPACE/Cephalo-Idefics-2-vision-10b-beta" "$@"
