"""Near-copies, splits, rights and exclusion: what is published."""
