"""Extract wiki pages, saved pages and HTML dumps into the same tables as PDF files."""
