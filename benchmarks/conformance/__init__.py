"""Tests of the libraries that Cephalo builds on, run against what is ours.

`python -m benchmarks.conformance` takes the sources of huggingface_hub, datasets and transformers
at the installed versions from PyPI and unpacks them in a temporary folder. Of the first two it runs
the tests that talk to a Hub, against the embedded hub; of transformers the tests that all models,
configurations and processors have in common, on our classes and, as the yardstick, on Idefics2 and
LLaVA-NeXT. PyPI's archives lack files that these tests need (conftest.py, fixtures/, those of
single models); `helpers` has our own in their place. `out_of_scope.tsv` lists what is not expected
to pass, and why.
"""
