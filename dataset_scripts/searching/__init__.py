"""Search for figures by words or by an image: `cephalo search`."""
