"""A backbone as a graph of ONNX Runtime, which on a CPU takes a third of torch's time.

It fuses convolutions with the normalizations and activations that follow. Feature maps are equal to
1e-5 of their largest value. torch is the reference; the libraries come with the extra `onnx`.
"""

import io
import warnings
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, cast

import torch
from torch import Tensor, nn

from rsfiqa.backbones.backbone import Backbone
from rsfiqa.errors import InputError

LIBRARIES = ("onnx", "onnxruntime")
OPSET = 17
PROBE = (1, 3, 96, 64)  # sides of the traced image; those of the graph are free
TOLERANCE = 1e-4  # of the largest value of a map; other frameworks round elsewhere
COMPARED = (1, 3, 111, 77)  # images on which graph and network are compared, of odd sides
INPUT = "image"


def is_installed() -> bool:
    """Whether the libraries are there, without importing them."""
    return _missing() is None


def check_installed(option: str) -> None:
    """Refuse to go on without the libraries.

    Args:
        option: the option that needs them, for the message.

    Raises:
        InputError: names the first that is missing.
    """
    if (name := _missing()) is not None:
        raise InputError(
            f"{option}: needs {name}, found none; install it: pip install 'rsfiqa[onnx]'"
        )


def _missing() -> str | None:
    return next((name for name in LIBRARIES if not _is_there(name)), None)


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # blocked: None in sys.modules
        return False


def graph_of(network: nn.Module) -> bytes:
    """A network as an ONNX graph for images of any size: input `image`, outputs `map_0` and on.

    Args:
        network: on the CPU; takes normalized images float32 (B, 3, H, W) and returns maps.

    Raises:
        InputError: the network cannot be exported.
    """
    from torch.onnx import utils  # not before it is used: a single picture is scored without it

    content, traced = io.BytesIO(), _Maps(network).eval()  # else export sets the network to train
    inputs = (torch.zeros(PROBE, dtype=torch.float32),)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: shapes are dynamic where they matter
        names = [f"map_{number}" for number in range(len(network(*inputs)))]
        _, missing = utils.unconvertible_ops(traced, inputs, opset_version=OPSET)
        if missing:  # export would print the whole graph
            raise InputError(
                f"backbone: must be a network that ONNX can express, found {missing[0]}; choose"
                " --runtime torch"
            )
        torch.onnx.export(
            traced,
            inputs,
            cast(Any, content),  # torch takes a buffer too
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=names,
            dynamic_axes={INPUT: {0: "batch", 2: "height", 3: "width"}},
            dynamo=False,  # the other exporter fixes padding that depends on the size
        )
    return content.getvalue()


def to_onnx(backbone: Backbone) -> Backbone:
    """The same backbone with its network as a session of ONNX Runtime on the CPU.

    Raises:
        InputError: the network cannot be exported, or the graph gives other maps.
    """
    converted = replace(backbone, network=OnnxNetwork(graph_of(backbone.network)))
    random = torch.Generator().manual_seed(0)
    x = torch.rand(COMPARED, generator=random, dtype=torch.float32)
    with torch.inference_mode():
        found, expected = converted.feature_maps(x), backbone.feature_maps(x)
    if not all(map(_are_close, found, expected)):
        raise InputError(
            "backbone: must give the same maps as an ONNX graph, found others; choose --runtime"
            " torch"
        )
    return converted


class OnnxNetwork(nn.Module):
    """A graph of feature maps, run by ONNX Runtime on the CPU.

    Args:
        graph: of `graph_of`.
    """

    def __init__(self, graph: bytes) -> None:
        super().__init__()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        # threads that spin while they wait take the time of other processes
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors only
        self._session: Any = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """The feature maps of normalized images float32 (B, 3, H, W)."""
        maps = self._session.run(None, {INPUT: x.contiguous().numpy()})
        return [torch.from_numpy(values) for values in maps]


class _Maps(nn.Module):
    """A network that returns its maps as a tuple, which the exporter asks for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network(x))


def _are_close(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    return float((found - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())
