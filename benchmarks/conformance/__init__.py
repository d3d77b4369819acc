"""Run tests of the libraries that Cephalo builds on against its hub and models.

`python -m benchmarks.conformance` downloads the sources of huggingface_hub, datasets and
transformers at the installed versions from PyPI and unpacks them in a temporary folder. Of the
first two it runs the tests that use a Hub, against the embedded hub; of transformers the common
tests of models, configurations and processors, on our classes and, for comparison, on Idefics2 and
LLaVA-NeXT. PyPI's archives lack files that these tests need (conftest.py, fixtures/, those of
single models); `helpers` has replacements. `out_of_scope.tsv` lists what is not expected to pass,
and why.
"""
