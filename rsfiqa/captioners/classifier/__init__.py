"""Captions from a network trained on opinion scores and realistic distortions."""
