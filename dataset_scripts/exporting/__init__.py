"""Export figures and conversations to formats of other programs: `cephalo export`."""
