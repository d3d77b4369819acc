"""The workbench of `cephalo review`: a local web page to inspect and correct figures."""
