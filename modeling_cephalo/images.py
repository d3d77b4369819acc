"""Pictures as every model here sees them: `cephalo.cli.images`, which needs no torch."""

from cephalo.cli.images import open_image, reads_alike, shrunk

__all__ = ["open_image", "reads_alike", "shrunk"]
