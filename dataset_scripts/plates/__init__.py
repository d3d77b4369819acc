"""Plates with known stresses: images, fields and statistics for training and testing models."""
