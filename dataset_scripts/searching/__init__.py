"""Finding figures by their words or by an image: `cephalo search`."""
