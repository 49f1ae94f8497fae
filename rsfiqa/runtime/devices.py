"""Devices, number formats and threads of the models."""

import os

import torch

from rsfiqa.errors import InputError

_process = [os.getpid()]  # that imported this module, or was forked from it and is adapted
PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def device_of(name: str, option: str) -> torch.device:
    """Return the device that an option names.

    Args:
        name: `cpu`, `cuda`, `mps`, or `auto` for a CUDA GPU if there is one.
        option: name of the option, such as segment.device, for error messages.

    Raises:
        InputError: a device that this machine, or its torch, lacks.
    """
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise missing_device(name, option)
        return torch.device(name)
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise missing_device(name, option)
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def missing_device(name: str, option: str) -> InputError:
    """The error of an option that names a device which this machine lacks."""
    return InputError(
        f"{option}: must be a device of this machine, found no {name}; set it to auto or cpu"
    )


def adapt_to_fork() -> None:
    """In a process that was forked, let torch compute with one thread.

    The threads of OpenMP do not survive a fork, and libgomp would wait for them for ever. OpenCV's
    threads need no such care: it computes in the calling thread then, and would hang if their
    number was set.
    """
    if os.getpid() not in _process:
        _process[:] = [os.getpid()]
        torch.set_num_threads(1)
