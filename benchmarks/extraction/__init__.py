"""Fit and score the decisions of `cephalo extract` on papers with ground truth."""
