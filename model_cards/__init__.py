"""Cards, uploads, downloads and the embedded hub."""
