"""The `cephalo` command and the errors that it prints in one line."""
