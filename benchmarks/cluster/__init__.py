"""Plan runs on many machines: measured rates, a plan, a simulated Slurm."""
