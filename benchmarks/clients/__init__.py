"""Saved checkpoints in other programs than transformers."""
