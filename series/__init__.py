"""The models of the paper, each a row of a table, a script of commands, and a run at tiny scale."""
