"""Captions from a network that was taught opinions and realistic distortions."""
