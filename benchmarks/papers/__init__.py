"""Papers with exact ground truth, sampled from the space of layouts and set with Typst."""
