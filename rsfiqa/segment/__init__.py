"""The segment stage: images to regions."""
