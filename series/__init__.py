"""The models of the paper: a table, a script of commands for each, and runs at tiny scale."""
