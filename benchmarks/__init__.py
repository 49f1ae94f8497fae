"""Benchmarks of the pipeline and the scorer: `python -m benchmarks NAME`."""
