"""Extraction and refinement on many machines: manifests, chunks, and datatrove on Slurm."""
