"""Plates whose stresses are known: images, fields and statistics to train and test models on."""
