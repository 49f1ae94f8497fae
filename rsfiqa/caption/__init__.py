"""The caption stage: regions to captions."""
