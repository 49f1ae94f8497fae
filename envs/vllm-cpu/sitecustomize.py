"""Lets torchvision's wheel for CUDA be imported beside a torch built for the CPU.

Its compiled operators do not load there, and the import fails because `nms` is not defined. vLLM
uses torchvision's Python parts alone, so a declaration of the two operators is enough. Does
nothing where torch has CUDA or torchvision was built for the CPU too.
"""

import sys
from importlib.metadata import PackageNotFoundError, version

DECLARED = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class Declare:
    """Runs once, when torchvision is about to be imported."""

    library = None  # kept alive: a library that is collected takes its operators along

    @classmethod
    def find_spec(cls, name, path=None, target=None):  # noqa: ANN001, ANN206, ARG003, D102
        if name == "torchvision":
            sys.meta_path.remove(cls)
            import torch

            if torch.version.cuda is None:
                cls.library = torch.library.Library("torchvision", "DEF")
                for operator in DECLARED:
                    cls.library.define(operator)


try:
    if "+cpu" not in version("torchvision"):
        sys.meta_path.insert(0, Declare)
except PackageNotFoundError:
    pass
