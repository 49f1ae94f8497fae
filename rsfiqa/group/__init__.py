"""The group command: near-duplicates and bursts, and the best picture of each."""
