"""Wiki pages, saved pages and HTML dumps, extracted into the same tables as PDF files."""
