"""Code shared by the steps of a dataset: the schema, shards, runs, text helpers."""
