"""Where and in which arithmetic models run, by the options' words."""

import torch

from rsfiqa.errors import InputError

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def device_of(name: str, option: str) -> torch.device:
    """The device that an option names; auto takes a GPU where there is one.

    Args:
        name: auto, cuda or cpu.
        option: for the message, such as segment.device.

    Raises:
        InputError: cuda, and there is none.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise InputError(f"{option}: must be there, found no cuda; set device to auto or cpu")
    return torch.device("cuda" if there and name != "cpu" else "cpu")
