"""The Hub tests of huggingface_hub and datasets, run against the embedded hub.

`python -m benchmarks.conformance` takes the sources of both at the installed versions from PyPI,
unpacks them in a temporary folder and runs what of their tests talks to a Hub. PyPI's archives
have the test modules but not the helpers beside them (conftest.py, fixtures/, utils.py); `helpers`
has our own in their place. `out_of_scope.tsv` lists what is not expected to pass, and why.
"""
