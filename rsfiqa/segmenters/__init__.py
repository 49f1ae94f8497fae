"""Segmenters: images to label maps."""
