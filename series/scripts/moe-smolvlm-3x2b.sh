#!/usr/bin/env bash
# Cephalo-SmolVLM-3x2b: three experts of SmolVLM: Cephalo-SmolVLM-2b, the instruct model and the base
# model. Needs a disk with 23 GB (three sources and the mixture in bfloat16) and, to train the gates,
# a GPU that holds the mixture, 9.3 GB. Takes as long as fetching the sources and copying 9.3 GB; the
# gates learn from 36 short prompts.
#
#   NAMESPACE=my-lab bash moe-smolvlm-3x2b.sh
set -euo pipefail
: "${NAMESPACE:?set NAMESPACE to where you may push}"

# weights are copied from file to file, then the gates learn from the recipe's prompts
[ -d runs/moe-smolvlm-3x2b ] || cephalo moe moe-smolvlm-3x2b.yml --out runs/moe-smolvlm-3x2b

cephalo push runs/moe-smolvlm-3x2b "$NAMESPACE/Cephalo-SmolVLM-3x2b" --collection Cephalo
