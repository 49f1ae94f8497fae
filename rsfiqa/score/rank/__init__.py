"""Percentiles over all shards of a scoring run."""
