"""Import images and texts into the tables of extraction: `cephalo import`."""
