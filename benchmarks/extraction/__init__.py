"""Fitting and scoring the decisions of `cephalo extract` on papers with truth."""
