"""Data sets: the registry of layouts, and a reader for each that lists the images."""
