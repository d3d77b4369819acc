#!/usr/bin/env bash
# Cephalo-Idefics2-vision-3x8b-beta: three experts of Idefics2: 8b-beta, chatty and the base
# model. Needs a disk with 90 GB (three sources and the mixture in bfloat16) and, to train the
# gates, a GPU that holds the mixture, 40 GB. Takes as long as fetching the sources and copying 40
# GB; the gates learn from 36 short prompts.
#
#   NAMESPACE=my-lab bash moe-3x8b.sh
set -euo pipefail
: "${NAMESPACE:?set NAMESPACE to where you may push}"

# weights are copied from file to file, then the gates learn from the recipe's prompts
[ -d runs/moe-3x8b ] || cephalo moe moe-3x8b.yml --out runs/moe-3x8b

cephalo push runs/moe-3x8b "$NAMESPACE/Cephalo-Idefics2-vision-3x8b-beta" --collection Cephalo
