"""Questions to models and their answers; importing this loads no torch."""
