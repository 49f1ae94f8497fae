"""What builds the artefacts that come with the package."""
