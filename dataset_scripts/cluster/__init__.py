"""Extraction and refinement over many machines: manifests, chunks, and datatrove on Slurm."""
