#!/usr/bin/env bash
# Cephalo-Phi-3-vision-128k-4b-alpha: LoRA on Phi-3-vision, one 80 GB GPU (or 24 GB with a small
# batch). About 4 minutes per million tokens and epoch (epochs: 2) on one A100 80 GB, assumed to
# reach 30% of its 312 TFLOP/s.
#
#   DATASET=my-lab/my-figures NAMESPACE=my-lab bash phi3-4b-alpha.sh
#
# Further arguments go to `cephalo train`. On several cards: the same with
# `accelerate launch -m cephalo.cli.main train` in place of `cephalo train`.
set -euo pipefail
: "${DATASET:?set DATASET to a dataset that cephalo publish made}"
: "${NAMESPACE:?set NAMESPACE to where you may push}"

cephalo train --config phi3-4b-alpha.yaml --dataset_name "$DATASET" \
  --push_to_hub --hub_model_id "$NAMESPACE/Cephalo-Phi-3-vision-128k-4b-alpha" "$@"
