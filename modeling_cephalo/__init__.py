"""Cephalo's models and how to talk to them."""
