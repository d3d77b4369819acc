#!/usr/bin/env bash
# Cephalo-Llava-v1.6-Mistral-8b-alpha: LoRA on LLaVA-v1.6 with small images, one 80 GB GPU. About
# 8 minutes per million tokens and epoch (epochs: 2) on one A100 80 GB, assumed to reach 30% of its
# 312 TFLOP/s.
#
#   DATASET=my-lab/my-figures NAMESPACE=my-lab bash llava-8b-alpha.sh
#
# Further arguments go to `cephalo train`. On several cards: the same with
# `accelerate launch -m cephalo.cli.main train` in place of `cephalo train`.
set -euo pipefail
: "${DATASET:?set DATASET to a dataset that cephalo publish made}"
: "${NAMESPACE:?set NAMESPACE to where you may push}"

cephalo train --config llava-8b-alpha.yaml --dataset_name "$DATASET" \
  --push_to_hub --hub_model_id "$NAMESPACE/Cephalo-Llava-v1.6-Mistral-8b-alpha" "$@"
