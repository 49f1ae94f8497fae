"""Backbones: timm models that turn an image into feature maps.

A backbone is added by registering its model in timm (`timm.models.register_model`); every timm
model with feature maps can be named in the options. Importing this module imports no model.
"""

PACKAGED = "packaged"  # as weights: those of a Python package
PERCEPTION = "perception"  # as weights: those of the captioner `classifier`
HUB = "hub"  # as weights: those of timm, from the Hugging Face hub
PREFIXES = ("hf-hub:", "hf_hub:", "timm/")  # of timm's models on the Hugging Face hub


def timm_name(text: str) -> str:
    """The name of a timm model, also where it is given as on the Hugging Face hub.

    For example `resnet18` for `hf-hub:timm/resnet18`.

    Raises:
        ValueError: it has another owner, or is a path.
    """
    name = text.strip()
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    if not name or not name.isascii() or any(char in name for char in "/\\:@#? "):
        raise ValueError("input should be the name of a timm model, such as resnet18")
    return name
