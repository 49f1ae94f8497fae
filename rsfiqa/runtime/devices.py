"""Devices and number formats of the models, by the values of the options."""

import torch

from rsfiqa.errors import InputError

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def device_of(name: str, option: str) -> torch.device:
    """Return the device that an option names.

    Args:
        name: `cpu`, `cuda`, or `auto` for a GPU if there is one.
        option: name of the option, such as segment.device, for error messages.

    Raises:
        InputError: `cuda` on a machine without a GPU.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError(
            f"{option}: must be a device of this machine, found no cuda; set it to auto or cpu"
        )
    return torch.device("cuda" if available and name != "cpu" else "cpu")
