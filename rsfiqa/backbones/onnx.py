"""A backbone as a graph of ONNX Runtime, which on a CPU takes a third of torch's time.

It fuses convolutions with the normalizations and activations that follow. Feature maps are equal to
1e-5 of their largest value. torch is the reference; the libraries come with the extra `onnx`.
"""

import io
import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from rsfiqa.backbones.backbone import Backbone
from rsfiqa.backbones.session import (
    EXPORTER,
    INPUT,
    RUNTIME,
    check_installed,
    is_installed,
    open_session,
    run_session,
)
from rsfiqa.errors import InputError, first_line
from rsfiqa.io.atomic import atomic

log = logging.getLogger("rsfiqa")

LIBRARIES = (EXPORTER, RUNTIME)
OPSET = 17
PREFIX = "network."  # of the names of weights in `_Maps`
PROBE = (1, 3, 96, 64)  # sides of the traced image; those of the graph are free
TOLERANCE = 1e-4  # of the largest value of a map; other frameworks round elsewhere
COMPARED = (1, 3, 111, 77)  # images on which graph and network are compared, of odd sides


def graph_of(network: nn.Module, *, with_weights: bool = True) -> bytes:
    """A network as an ONNX graph for images of any size: input `image`, outputs `map_0` and on.

    Args:
        network: on the CPU; takes normalized images float32 (B, 3, H, W) and returns maps.
        with_weights: fold what is constant. Otherwise the weights are declared as external, under
            the names of the network's state dict.

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
            do_constant_folding=with_weights,
            training=torch.onnx.TrainingMode.EVAL
            if with_weights
            else torch.onnx.TrainingMode.PRESERVE,  # else batch normalizations are folded
        )
    return content.getvalue() if with_weights else _without_weights(content.getvalue())


def _without_weights(graph: bytes) -> bytes:
    """A graph of `_Maps` whose weights are declared as external, by the names of the network."""
    import onnx

    model = onnx.load_from_string(graph)
    for weights in model.graph.initializer:
        weights.ClearField("raw_data")
        weights.data_location = onnx.TensorProto.EXTERNAL
        weights.external_data.add(key="location", value="given to the session")
    renamed = {each.name: each.name.removeprefix(PREFIX) for each in model.graph.initializer}
    for weights in model.graph.initializer:
        weights.name = renamed[weights.name]
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    content: bytes = model.SerializeToString()
    return content


def write_graph(path: Path, backbone: Backbone) -> None:
    """Write the graph of a backbone without its weights, as `GraphBackbone.load` reads it.

    Args:
        path: to write.
        backbone: on the CPU; accepts images of any size.
    """
    import onnx

    model = onnx.load_from_string(graph_of(backbone.network, with_weights=False))
    for name, values in (("mean", backbone.mean), ("std", backbone.std)):
        text = " ".join(map(repr, values.flatten().tolist()))
        model.metadata_props.add(key=name, value=text)
    with atomic(path) as partial:
        partial.write_bytes(model.SerializeToString())


def to_onnx(backbone: Backbone) -> Backbone:
    """The same backbone with its network as a session of ONNX Runtime on the CPU.

    Raises:
        InputError: the network cannot be exported, or the graph gives other maps.
    """
    random = torch.Generator().manual_seed(0)
    x = torch.rand(COMPARED, generator=random, dtype=torch.float32)
    with torch.inference_mode():
        expected = backbone.feature_maps(x)
        try:
            converted = replace(backbone, network=OnnxNetwork(graph_of(backbone.network)))
            found = converted.feature_maps(x)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # as many kinds as tracing, exporter and runtime have
            raise InputError(
                "backbone: must be a network that ONNX can express, found"
                f" {first_line(error)}; choose --runtime torch"
            ) from error
    if not all(map(_are_close, found, expected)):
        raise InputError(
            "backbone: must give the same maps as an ONNX graph, found others; choose --runtime"
            " torch"
        )
    return converted


def as_onnx(
    backbone: Backbone, runtime: str, device: torch.device, option: str = "--runtime"
) -> Backbone | None:
    """A backbone by ONNX Runtime, None where torch runs it.

    Args:
        backbone: on the device.
        runtime: torch, onnx, or auto: ONNX Runtime where it is installed and can run the backbone.
        device: of the backbone; only on a CPU the runtime has a choice.
        option: that gave the runtime, for messages.

    Raises:
        InputError: ONNX Runtime is asked for, and is missing or cannot run the backbone.
    """
    if device.type != "cpu":
        if runtime == "onnx":
            log.warning("%s: onnx is for a CPU; torch runs the backbone on %s", option, device.type)
        return None
    if runtime == "torch" or (runtime == "auto" and not is_installed(*LIBRARIES)):
        return None
    check_installed(option, *LIBRARIES)
    try:
        return to_onnx(backbone)
    except InputError:
        if runtime == "auto":
            return None
        raise


class OnnxNetwork(nn.Module):
    """A graph of feature maps, run by ONNX Runtime on the CPU.

    Args:
        graph: of `graph_of`.
    """

    def __init__(self, graph: bytes) -> None:
        super().__init__()
        self._session: Any = open_session(graph, torch.get_num_threads())

    def forward(self, x: Tensor) -> list[Tensor]:
        """The feature maps of normalized images float32 (B, 3, H, W)."""
        maps = run_session(self._session, x.contiguous().numpy())
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
