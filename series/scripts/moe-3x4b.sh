#!/usr/bin/env bash
# Cephalo-Phi-3-MoE-vision-128k-3x4b-beta: three experts of Phi-3-vision: 4b-beta, the instruct
# model and the LaTeX model. Needs a disk with 45 GB (three sources and the mixture in bfloat16)
# and, to train the gates, a GPU that holds the mixture, 18 GB. Takes as long as fetching the
# sources and copying 18 GB; the gates learn from 36 short prompts.
#
#   NAMESPACE=my-lab bash moe-3x4b.sh
set -euo pipefail
: "${NAMESPACE:?set NAMESPACE to where you may push}"

# weights are copied from file to file, then the gates learn from the recipe's prompts
[ -d runs/moe-3x4b ] || cephalo moe moe-3x4b.yml --out runs/moe-3x4b

cephalo push runs/moe-3x4b "$NAMESPACE/Cephalo-Phi-3-MoE-vision-128k-3x4b-beta" --collection Cephalo
