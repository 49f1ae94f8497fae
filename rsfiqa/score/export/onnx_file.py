"""The ONNX file: written by torch, then compared with torch in ONNX Runtime."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rsfiqa.errors import InputError, first_line
from rsfiqa.score.export.graph import ScoringGraph
from rsfiqa.vocabulary import RATINGS

# sizes at which the file is compared with torch: image, label map, rows and columns of regions
SIZES = (
    ((96, 128), (96, 128), (2, 2)),
    ((131, 67), (66, 34), (3, 1)),
    ((48, 50), (24, 25), (2, 5)),
)
TOLERANCE = 1e-4  # of the range of each output
REGIONS = "numbers"  # input of the torch module that the file computes from the label map


def write(path: Path, graph: ScoringGraph, *, opset: int) -> float:
    """Write the file and compare it with torch; returns the largest difference found.

    Raises:
        InputError: the backbone cannot be exported, or the file computes something else.
        ModuleNotFoundError: onnx or onnxruntime is missing.
    """
    import onnx
    import onnxruntime

    del onnxruntime  # missing, it is reported before the work
    arguments = _example(graph, *SIZES[0])
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its operators are unknown to ONNX
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of tracing: shapes of weights are constants
            torch.onnx.export(
                graph,
                arguments,
                path,
                dynamo=False,  # the other exporter takes minutes
                opset_version=opset,
                input_names=_names(graph),
                output_names=list(graph.outputs),
                dynamic_axes=_axes(graph),
            )
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        raise InputError(
            f"backbone: must consist of operators that ONNX has, found {first_line(error)};"
            " export another checkpoint"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    model = onnx.load(path)
    _number_regions(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return compare(path, graph)


def _names(graph: ScoringGraph) -> list[str]:
    return ["image", "labels", REGIONS, *graph.caption_inputs]


def _axes(graph: ScoringGraph) -> dict[str, dict[int, str]]:
    axes = {"image": {0: "height", 1: "width"}, "labels": {0: "map_height", 1: "map_width"}}
    of_regions = {"region_score", "region_weight", "region_cost"} | {
        "ratings",
        "text",
        "probability",
        "severity",
        REGIONS,
    }
    known = {*_names(graph), *graph.outputs}
    return axes | {name: {0: "regions"} for name in sorted(of_regions & known)}


def _number_regions(model: "object") -> None:
    """Compute the input `numbers` from the label map: 0 to its maximum."""
    from onnx import helper, numpy_helper

    graph = model.graph  # type: ignore[attr-defined]
    for name, value in (("region_start", 0), ("region_step", 1)):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    graph.input.remove(next(each for each in graph.input if each.name == REGIONS))
    for i, node in enumerate(
        (
            helper.make_node("ReduceMax", ["labels"], ["last_region"], keepdims=0),
            helper.make_node("Add", ["last_region", "region_step"], ["region_count"]),
            helper.make_node("Range", ["region_start", "region_count", "region_step"], [REGIONS]),
        )
    ):
        graph.node.insert(i, node)


def compare(path: Path, graph: ScoringGraph) -> float:
    """The largest difference of the file's outputs from torch's, as a fraction of their ranges.

    Raises:
        InputError: it exceeds `TOLERANCE`.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    largest = 0.0
    for sizes in SIZES:
        given = _example(graph, *sizes)
        with torch.no_grad():
            expected = graph(*given)
        values = dict(zip(_names(graph), given, strict=True))
        found = session.run(
            list(graph.outputs),
            {name: value.numpy() for name, value in values.items() if name != REGIONS},
        )
        for name, own, torchs in zip(graph.outputs, found, expected, strict=True):
            difference = float(np.abs(own - torchs.numpy()).max()) / _range(graph, name)
            largest = max(largest, difference)
            if not difference <= TOLERANCE:
                raise InputError(
                    f"{path.name}: '{name}' must be that of torch within {TOLERANCE:g} of its"
                    f" range, found {difference:g} beside it; export with another --opset"
                )
    return largest


def _range(graph: ScoringGraph, name: str) -> float:
    points = {"score", "region_score", "region_cost", "cost_map"}
    if name in points:
        return abs(graph.scale.span)
    return {"ratings": 4.0, "severity": 5.0}.get(name, 1.0)


def _example(
    graph: ScoringGraph, image: tuple[int, int], labels: tuple[int, int], regions: tuple[int, int]
) -> tuple[Tensor, ...]:
    """Inputs of a scene of waves and noise, divided into rows and columns of regions."""
    random = np.random.default_rng(image[0])
    y, x = np.mgrid[: image[0], : image[1]][..., None] / 12
    waves = 128 + 90 * np.sin(x + np.array([0, 1, 2])) * np.cos(y + np.array([0, 2, 4]))
    pixels = (waves + random.normal(0, 8, (*image, 3))).clip(0, 255).astype(np.uint8)
    label_map = _tiles(labels, regions)
    count = regions[0] * regions[1]
    inputs = [pixels, label_map, np.arange(count)]
    captions = {
        "ratings": random.uniform(1, 5, (count, len(RATINGS))),
        "text": random.normal(0, 0.05, (count, graph.text_dim)),
    }
    inputs += [captions[name].astype(np.float32) for name in graph.caption_inputs]
    return tuple(map(torch.from_numpy, inputs))


def _tiles(shape: Sequence[int], regions: Sequence[int]) -> np.ndarray:
    """A label map of equal rectangles: int64 (H, W)."""
    rows, columns = (
        np.arange(size) * count // size for size, count in zip(shape, regions, strict=True)
    )
    tiles: np.ndarray = (rows[:, None] * regions[1] + columns).astype(np.int64)
    return tiles
