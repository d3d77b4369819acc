#!/usr/bin/env bash
# Cephalo-SmolVLM-2.6b: 6 layers on top of Cephalo-SmolVLM-2b, then those 6 trained. The merge
# needs a disk with 15 GB and no GPU; training 0.4 billion parameters in full fits one 80 GB GPU.
# About 1 minute per million tokens and epoch (epochs: 2) on one A100 80 GB, assumed to reach 30% of
# its 312 TFLOP/s.
#
#   DATASET=my-lab/my-figures NAMESPACE=my-lab bash smolvlm-2.6b.sh
#
# Further arguments go to `cephalo train`. On several cards: the same with
# `accelerate launch -m cephalo.cli.main train` in place of `cephalo train`.
set -euo pipefail
: "${DATASET:?set DATASET to a dataset that cephalo publish made}"
: "${NAMESPACE:?set NAMESPACE to where you may push}"

# 24 layers of Cephalo-SmolVLM-2b and the last 6 of SmolVLM-Instruct
[ -d runs/smolvlm-2.6b-merged ] || cephalo merge smolvlm-2.6b.yml --out runs/smolvlm-2.6b-merged

# only the new layers train
cephalo train --config smolvlm-2.6b.yaml --dataset_name "$DATASET" \
  --push_to_hub --hub_model_id "$NAMESPACE/Cephalo-SmolVLM-2.6b" "$@"
