"""Load saved checkpoints in other programs than transformers."""
