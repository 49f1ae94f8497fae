"""Graphs of ONNX Runtime, run on the CPU without torch.

Graphs of some backbones come with the package. They hold the operators alone; the weights come from
a checkpoint or from the captioner, whose tensors have the same names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np

from rsfiqa.errors import InputError, first_line
from rsfiqa.runtime.layers import pooling_bounds

RUNTIME, EXPORTER = "onnxruntime", "onnx"
INPUT = "image"
GRAPHS = Path(__file__).parent  # written by recipes.backbone_graph
OUT_OF_MEMORY = "Failed to allocate memory"  # in what ONNX Runtime says
COUNTER = "num_batches_tracked"  # of batch normalizations; no weight


def is_installed(*names: str) -> bool:
    """Whether libraries are there, without importing them."""
    return all(map(_is_there, names))


def check_installed(option: str, *names: str) -> None:
    """Refuse to go on without some libraries.

    Args:
        option: the option that needs them, for the message.
        names: of the libraries.

    Raises:
        InputError: names the first that is missing.
    """
    for name in names:
        if not _is_there(name):
            raise InputError(
                f"{option}: needs {name}, found none; install it: pip install 'rsfiqa[onnx]'"
            )


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # blocked: None in sys.modules
        return False


def open_session(
    graph: bytes | str, threads: int, weights: Mapping[str, np.ndarray] | None = None
) -> Any:
    """An `onnxruntime.InferenceSession` on the CPU.

    Args:
        graph: content or path of a file.
        threads: that compute.
        weights: by name, of a graph that lacks them.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # threads that spin while they wait take the time of other processes
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors are raised
    if weights:
        values = map(onnxruntime.OrtValue.ortvalue_from_numpy, weights.values())
        options.add_external_initializers(list(weights), list(values))
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def run_session(session: Any, image: np.ndarray) -> list[np.ndarray]:
    """The outputs of a session.

    Args:
        session: of `open_session`.
        image: its input, float32 (B, 3, H, W).

    Raises:
        MemoryError: memory ran out.
    """
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail

    try:
        outputs: list[np.ndarray] = session.run(None, {INPUT: image})
    except Fail as error:
        if OUT_OF_MEMORY in str(error):
            raise MemoryError(first_line(error)) from error
        raise
    return outputs


def graph_path(backbone: str) -> Path | None:
    """The graph of a backbone that comes with the package; None if there is none."""
    path = GRAPHS / f"{backbone}.onnx"
    return path if path.is_file() else None


@dataclass(frozen=True, eq=False)
class GraphBackbone:
    """A backbone as a graph, with its preprocessing; the counterpart of `Backbone`.

    Attributes:
        session: of ONNX Runtime.
        mean: mean of each color channel for images in [0, 1], float32 (3, 1, 1).
        std: standard deviation of each color channel, likewise.
    """

    session: Any
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def load(cls, path: Path, weights: Mapping[str, np.ndarray], threads: int = 1) -> Self:
        """Open a graph that comes with the package.

        Args:
            path: of `graph_path`.
            weights: float32 by name, as in the state dict of `Backbone.network`.
            threads: that compute.

        Raises:
            InputError: the weights are of another network.
        """
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail

        kept = {name: value for name, value in weights.items() if not name.endswith(COUNTER)}
        try:
            session = open_session(str(path), threads, kept)
        except Fail as error:
            raise InputError(
                f"backbone: must have the weights of {path.stem}, found others"
                f" ({first_line(error)}); train the checkpoint again"
            ) from error
        record = session.get_modelmeta().custom_metadata_map
        mean, std = (
            np.array([float(word) for word in record[name].split()], np.float32).reshape(3, 1, 1)
            for name in ("mean", "std")
        )
        return cls(session, mean, std)

    def image_maps(self, image: np.ndarray) -> list[np.ndarray]:
        """The feature maps float32 (C_s, h_s, w_s) of an image uint8 (H, W, 3), sRGB."""
        x = np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)
        x /= 255
        x -= self.mean
        x /= self.std
        return [values[0] for values in run_session(self.session, x[None])]


def grid_features_of(
    maps: Sequence[np.ndarray], squares: Sequence[np.ndarray], grid: int
) -> np.ndarray:
    """As `backbone.grid_features_of`: float32 (2, C, G, G).

    Args:
        maps: feature maps (C_s, h_s, w_s) of an image.
        squares: of the values of each map.
        grid: number G of grid cells per side.
    """
    means = np.concatenate([_pooled(values, grid) for values in maps])
    variance = np.concatenate([_pooled(values, grid) for values in squares]) - np.square(means)
    return np.stack([means, np.sqrt(np.maximum(variance, 0))])


def _pooled(values: np.ndarray, grid: int) -> np.ndarray:
    """Adaptive average pooling of (C, h, w): float32 (C, G, G)."""
    down, across = (_pooling_matrix(side, grid) for side in values.shape[1:])
    pooled: np.ndarray = down @ (values @ across.T)
    return pooled


def _pooling_matrix(side: int, cells: int) -> np.ndarray:
    """The weights of adaptive average pooling along one axis: float32 (cells, side)."""
    at = np.arange(side)
    begin, end = (bound[:, None] for bound in pooling_bounds(side, cells))
    inside = (at >= begin) & (at < end)
    weights: np.ndarray = (inside / (end - begin)).astype(np.float32)
    return weights
