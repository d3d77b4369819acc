"""The models of the paper, and later ones by its recipes.

A table, a script of commands for each, and runs at tiny scale.
"""
