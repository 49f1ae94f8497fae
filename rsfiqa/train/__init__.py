"""The train stage: one model on one split of one data set."""
