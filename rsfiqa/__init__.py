"""No-reference image quality by region: how good, which region is to blame, and why."""

__version__ = "0.1.0"
