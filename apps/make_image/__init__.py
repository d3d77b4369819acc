"""Generate a new image from images: Cephalo designs, a diffusers pipeline draws, Cephalo judges."""
