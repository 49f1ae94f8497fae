"""The segment stage: images to label maps."""
