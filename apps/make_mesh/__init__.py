"""Printable solids: implicit architectures and microstructures of images, as STL, GLB and 3MF."""
