#!/usr/bin/env bash
# Cephalo-Idefics-2-vision-8b-beta: LoRA on Idefics2 chatty, one 80 GB GPU. About 9 minutes per
# million tokens and epoch (epochs: 2) on one A100 80 GB, assumed to reach 30% of its 312 TFLOP/s.
#
#   DATASET=my-lab/my-figures NAMESPACE=my-lab bash idefics2-8b-beta.sh
#
# Further arguments go to `cephalo train`. On several cards: the same with
# `accelerate launch -m cephalo.cli.main train` in place of `cephalo train`.
set -euo pipefail
: "${DATASET:?set DATASET to a dataset that cephalo publish made}"
: "${NAMESPACE:?set NAMESPACE to where you may push}"

cephalo train --config idefics2-8b-beta.yaml --dataset_name "$DATASET" \
  --push_to_hub --hub_model_id "$NAMESPACE/Cephalo-Idefics-2-vision-8b-beta" "$@"
