"""Supervised fine-tuning with TRL."""
