"""What curating pictures takes: grouping near-duplicates, choosing the best of a burst."""
