"""The workbench: a local page to look at figures and to decide about them."""
