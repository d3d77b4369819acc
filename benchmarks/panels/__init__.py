"""Panels of published compound figures: manual labels, a labelling tool and a scorer."""
