"""The prepare stage: a data set as it lies on disk becomes a manifest."""
