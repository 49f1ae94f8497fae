"""Masks of segment-anything."""
