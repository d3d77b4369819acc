"""What many machines need: measured rates, a plan, a simulated Slurm."""
