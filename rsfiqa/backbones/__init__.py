"""Backbones: timm models that turn an image into feature maps.

A backbone is added by registering its model in timm (`timm.models.register_model`); every timm
model with feature maps can be named in the options. Importing this module imports no model.
"""

PACKAGED = "packaged"  # as weights: those of a Python package
HUB = "hub"  # as weights: those of timm, from the Hugging Face hub
