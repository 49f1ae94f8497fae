"""Backbones: timm models as multi-scale feature extractors."""
