"""Figures and conversations in the formats of other programs: `cephalo export`."""
