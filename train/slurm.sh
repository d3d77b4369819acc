#!/bin/bash
# A full recipe on several machines of a Slurm cluster, one task a machine:
#   sbatch --nodes 2 --gpus-per-node 8 train/slurm.sh idefics2-10b.yaml --dataset_name my-lab/figures
# A job that is stopped or runs out of time goes on where it was when it is submitted again.
# The base model and the data must be on a disk, or in a Hub cache, that all machines see.
#SBATCH --job-name cephalo-train
#SBATCH --ntasks-per-node 1
#SBATCH --time 24:00:00
#SBATCH --requeue
#SBATCH --output %x-%j.log
set -euo pipefail

config=$1
shift
accelerate_config=${ACCELERATE_CONFIG:-$(dirname "$(python -c 'import cephalo.train as m; print(m.__file__)')")/accelerate_configs/fsdp2.yaml}
head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
processes=$((SLURM_NNODES * SLURM_GPUS_ON_NODE))

srun bash -c 'accelerate launch \
    --config_file "$0" --num_machines "$SLURM_NNODES" --num_processes "$1" \
    --machine_rank "$SLURM_NODEID" --main_process_ip "$2" --main_process_port 29500 \
    --rdzv_backend c10d -m cephalo.cli.main train --config "${@:3}"' \
    "$accelerate_config" "$processes" "$head_node" "$config" "$@"
