"""Pages of wikis, saved pages and dumps: read into the same tables as PDF files."""
