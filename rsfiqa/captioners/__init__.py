"""Captioners: regions to ratings, distortions and sentences."""
