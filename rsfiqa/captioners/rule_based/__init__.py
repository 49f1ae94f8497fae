"""Captions from hand-crafted features."""
