"""The plan of a scoring run."""
