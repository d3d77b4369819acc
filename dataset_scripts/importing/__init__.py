"""Images and texts of one's own, as the tables of extraction: `cephalo import`."""
