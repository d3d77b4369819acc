"""Decide what is published: near-copies, splits, rights and exclusions."""
