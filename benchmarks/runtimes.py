"""Libraries that can run the packaged backbone on a CPU: time on one thread, and error.

ONNX Runtime in float32 and with 8-bit integers, OpenVINO where it is installed, and torch, which is
the reference. Two minutes.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.figures import RELEASES, add_data, parser, write
from rsfiqa.backbones import PERCEPTION
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.backbones.onnx import graph_of
from rsfiqa.backbones.session import INPUT, open_session, run_session
from rsfiqa.backbones.weights import PERCEPTION_BACKBONE
from rsfiqa.images.load import load_rgb

SIZE = (500, 500)
CALIBRATION, MEASURED = 20, 10  # pictures
ROUNDS = 3  # in turn; the median of a runtime's rounds counts
QUANTIZED = ("Conv", "Clip")  # operators; those that compute padding must stay exact

Maps = list[np.ndarray]
Runtime = Callable[[np.ndarray], Maps]


def main(arguments: Sequence[str]) -> None:
    """Measure and write the figures."""
    options = parser(__name__, __doc__)
    add_data(options, "livec")
    given = options.parse_args(arguments)
    torch.set_num_threads(1)
    backbone = load_backbone(PERCEPTION_BACKBONE, PERCEPTION)
    inputs = pictures(given.data / RELEASES["livec"] / "Images", backbone)
    calibration, measured = inputs[:CALIBRATION], inputs[CALIBRATION:]
    figures: dict[str, float] = {"pictures": len(measured)}
    found = runtimes(backbone, calibration)
    expected = [found["torch"](x) for x in measured]
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for name, run in found.items():
        figures[f"{name}_error"] = error([run(x) for x in measured], expected)
    for _ in range(ROUNDS):
        for name, run in found.items():
            started = time.process_time()
            for x in measured:
                run(x)
            seconds[name].append((time.process_time() - started) / len(measured))
    figures |= {f"{name}_ms": 1000 * float(np.median(each)) for name, each in seconds.items()}
    write("bench-runtimes", figures, "python -m benchmarks runtimes --data DIR")


def pictures(folder: Path, backbone: Backbone) -> list[np.ndarray]:
    """Pictures of one size as a network takes them, float32 (1, 3, H, W) each."""
    found: list[np.ndarray] = []
    for path in sorted(folder.glob("*.*")):
        with Image.open(path) as image:
            if image.size != SIZE:
                continue
        pixels = torch.from_numpy(load_rgb(path)).permute(2, 0, 1)[None]
        found.append(np.ascontiguousarray(backbone.normalize(pixels).numpy()))
        if len(found) == CALIBRATION + MEASURED:
            break
    return found


def runtimes(backbone: Backbone, calibration: Sequence[np.ndarray]) -> dict[str, Runtime]:
    """The maps of a picture by each runtime, on one thread."""
    graph = graph_of(backbone.network)
    found: dict[str, Runtime] = {
        "torch": lambda x: run_torch(backbone, x),
        "onnxruntime": session(graph),
        "onnxruntime_int8": session(quantized(graph, calibration)),
    }
    if find_spec("openvino") is not None:
        found["openvino"] = openvino(graph)
    return found


@torch.inference_mode()
def run_torch(backbone: Backbone, x: np.ndarray) -> Maps:
    """The maps of the network as it is."""
    values = torch.from_numpy(x).contiguous(memory_format=torch.channels_last)
    return [each.numpy() for each in backbone.network(values)]


def session(graph: bytes) -> Runtime:
    """A graph in ONNX Runtime."""
    opened = open_session(graph, 1)
    return lambda x: run_session(opened, x)


def openvino(graph: bytes) -> Runtime:
    """A graph in OpenVINO, in float32."""
    core: Any = import_module("openvino").Core()
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    model = core.compile_model(core.read_model(graph), "CPU", settings)
    return lambda x: [np.array(values) for values in model(x).values()]


def quantized(graph: bytes, calibration: Sequence[np.ndarray]) -> bytes:
    """A graph whose convolutions take and give 8-bit integers, a scale for each channel.

    Args:
        graph: in float32.
        calibration: pictures whose activations give the ranges.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Gives the pictures one by one."""

        def __init__(self) -> None:
            self.rest: Iterator[np.ndarray] = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            """The next picture; None after the last."""
            x = next(self.rest, None)
            return None if x is None else {INPUT: x}

    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        before.write_bytes(graph)
        quantize_static(
            before,
            after,
            Reader(),
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            reduce_range=True,  # sums of products of 8 bits overflow 16 bits without VNNI
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return after.read_bytes()


def error(found: Sequence[Maps], expected: Sequence[Maps]) -> float:
    """The largest relative error of a map, as a mean over pictures: norms of differences."""
    errors = [
        [float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(one, other, strict=True)]
        for one, other in zip(found, expected, strict=True)
    ]
    return float(np.mean(errors, axis=0).max())
