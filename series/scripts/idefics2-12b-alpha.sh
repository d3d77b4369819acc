#!/usr/bin/env bash
# Cephalo-Idefics-2-vision-12b-alpha: 16 layers on top of 8b-beta, then those 16 trained. The
# merge needs a disk with 65 GB and no GPU; training 3.5 billion parameters in full fits one 80 GB
# GPU. About 8 minutes per million tokens and epoch (epochs: 1) on one A100 80 GB, assumed to reach
# 30% of its 312 TFLOP/s.
#
#   DATASET=my-lab/my-figures NAMESPACE=my-lab bash idefics2-12b-alpha.sh
#
# Further arguments go to `cephalo train`. On several cards: the same with
# `accelerate launch -m cephalo.cli.main train` in place of `cephalo train`.
set -euo pipefail
: "${DATASET:?set DATASET to a dataset that cephalo publish made}"
: "${NAMESPACE:?set NAMESPACE to where you may push}"

# 32 layers of 8b-beta and the last 16 of idefics2-8b-chatty
[ -d runs/12b-merged ] || cephalo merge 12b.yml --out runs/12b-merged

# only the new layers train
cephalo train --config idefics2-12b-alpha.yaml --dataset_name "$DATASET" \
  --push_to_hub --hub_model_id "$NAMESPACE/Cephalo-Idefics-2-vision-12b-alpha" "$@"
