"""Plots from made data, with questions whose answers are computed from that data."""
