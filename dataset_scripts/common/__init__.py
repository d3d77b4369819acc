"""What the steps of a dataset share: the schema, shards, runs, text helpers."""
