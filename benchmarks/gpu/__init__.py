"""Everything that only a GPU can show, within a time limit: `python -m benchmarks.gpu`."""
