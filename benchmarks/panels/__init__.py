"""Panels of real compound figures, labelled by hand: the labels, a labelling tool and a scorer."""
