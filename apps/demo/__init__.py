"""A page to try a model on: talk, browse figures, make parts."""
