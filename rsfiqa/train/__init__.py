"""The train stage: trains one model on one split of one data set."""
