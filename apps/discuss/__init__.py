"""Discussions of images between models: a panel of roles, and Cephalo for smolagents."""
