"""Query models; importing this does not load torch."""
