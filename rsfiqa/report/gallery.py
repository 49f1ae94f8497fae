"""Pictures with their regions and attention, from the test part of a split."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
import pyarrow as pa
import torch

from rsfiqa import captions, checkpoints, images, regions, samples
from rsfiqa.errors import ImageError
from rsfiqa.model import RSA, Prediction
from rsfiqa.report.record import DataSet
from rsfiqa.samples import Samples
from rsfiqa.shards import shard_path

LONG_SIDE = 448  # pixels of a picture
BUDGET = 10_000_000  # bytes of all pictures together, so that the page stays below 15 MB
QUALITIES = (85, 70, 50, 30)  # of JPEG, tried until a picture fits its share of the budget
HEAT_SIDE = 96  # pixels of a heat map; the browser enlarges it smoothly
SMOOTH = 1.0  # pixels by which an outline may leave the label map's border


@dataclass(frozen=True)
class Region:
    """One region: where it is, what is said of it, and what the model makes of it.

    Attributes:
        number: 0 for the largest.
        outline: path data in pixels of the label map, to be filled by the even-odd rule.
        content: what it shows; empty where the caption failed.
        text: the sentence that was embedded.
        ratings: name and value in [1, 5], 5 for excellent; None where there is none.
        distortions: family and severity in 1..5.
        quality: in the data set's score units.
        weight: in [0, 1]; the weights of an image sum to 1.
    """

    number: int
    outline: str
    content: str
    text: str
    ratings: list[tuple[str, float | None]]
    distortions: list[tuple[str, int]]
    quality: float
    weight: float


@dataclass(frozen=True)
class Picture:
    """One image; scores in the data set's units: predicted == sum(weight * quality) + global_term.

    Attributes:
        image_id: of the manifest.
        dataset: where it comes from.
        roles: why it was chosen.
        photo: data URI; empty if the file could not be read.
        missing: why it could not be read.
        size: width and height of the label map in pixels.
        heat: data URI of the attention map.
        peak: the map's highest value, as a multiple of a uniform map.
        mos: opinion score.
        mos_std: of the opinions; None if unknown.
        predicted: score.
        global_term: what the whole image adds to the weighted regions.
        regions: largest first.
    """

    image_id: str
    dataset: DataSet
    roles: list[str]
    photo: str
    missing: str
    size: tuple[int, int]
    heat: str
    peak: float
    mos: float
    mos_std: float | None
    predicted: float
    global_term: float
    regions: list[Region]


def choose(predicted: np.ndarray, quality: np.ndarray, count: int) -> dict[int, list[str]]:
    """Which images are shown and why: index to roles, best predicted first.

    The highest and the lowest prediction, the most mistaken (a quarter of `count`), and the rest
    evenly over the predicted range.

    Args:
        predicted: float (N,), on the scale of `quality`.
        quality: float (N,), MOS mapped to [0, 1], higher is better.
        count: images at most.
    """
    roles: dict[int, list[str]] = {}

    def take(index: int, role: str) -> None:
        if index in roles or len(roles) < count:
            roles.setdefault(index, []).append(role)

    order = np.argsort(-predicted, kind="stable")
    mistaken = np.argsort(-np.abs(predicted - quality), kind="stable")
    take(int(order[0]), "highest prediction")
    take(int(order[-1]), "lowest prediction")
    for rank in range(min(max(1, count // 4), len(order))):
        take(int(mistaken[rank]), "most mistaken" if rank == 0 else f"mistake no. {rank + 1}")
    wanted = min(count, len(order)) - len(roles)
    for target in np.linspace(predicted.max(), predicted.min(), wanted + 2)[1:-1]:
        free = [int(index) for index in order if int(index) not in roles]
        take(min(free, key=lambda index: abs(predicted[index] - target)), "spread")
    return {int(index): roles[int(index)] for index in order if int(index) in roles}


def pictures(
    folder: Path,
    checkpoint: Path,
    dataset: DataSet,
    predictions: pa.Table,
    *,
    count: int,
    size: int,
) -> list[Picture]:
    """Images of one data set, best predicted first.

    Args:
        folder: of the data set.
        checkpoint: that made the predictions.
        dataset: what is known of it.
        predictions: of one split's test part.
        count: images at most.
        size: bytes of one picture at most, where JPEG can do it.
    """
    predicted, quality = predictions["predicted"].to_numpy(), predictions["quality"].to_numpy()
    image_ids = predictions["image_id"].to_pylist()
    roles = {image_ids[i]: why for i, why in choose(predicted, quality, count).items()}
    model, card = checkpoints.read(checkpoint)
    tuned = checkpoints.read_backbone(checkpoint, card)
    data = samples.load(folder)
    data = data.take(np.isin(np.asarray(data.image_ids), list(roles)))
    if tuned is not None:
        data = samples.with_cells(data, tuned, card.backbone["long_side"])
    found = _predict(model, data)
    made = {
        row["image_id"]: _picture(folder, dataset, roles[row["image_id"]], row, found, i, size)
        for i, row in enumerate(data.rows.to_pylist())
    }
    return [made[image_id] for image_id in roles]


def _predict(model: RSA, data: Samples) -> Prediction:
    with torch.inference_mode():
        return model(data.batch)


def _picture(
    folder: Path,
    dataset: DataSet,
    roles: list[str],
    row: dict[str, Any],
    found: Prediction,
    i: int,
    size: int,
) -> Picture:
    shard = f"{row['shard']:05d}"
    image = regions.Reader(shard_path(folder, "segment", shard))[row["image_id"]]
    attention = found.attention[i].double().numpy()
    attention = attention * attention.size  # 1 everywhere if uniform
    try:
        photo, missing = photo_uri(images.read_rgb(Path(row["path"])), size), ""
    except ImageError as error:
        photo, missing = "", str(error)
    return Picture(
        image_id=row["image_id"],
        dataset=dataset,
        roles=roles,
        photo=photo,
        missing=missing,
        size=image.labels.shape[::-1],
        heat=heat_uri(attention),
        peak=float(attention.max()),
        mos=row["mos"],
        mos_std=row["mos_std"],
        predicted=float(dataset.native(found.score[i])),
        global_term=float(dataset.span * found.global_term[i]),
        regions=_regions(
            image.labels,
            _captions(shard_path(folder, "caption", shard), row["image_id"]),
            dataset.native(found.quality[i].double().numpy()),
            found.weight[i].double().numpy(),
        ),
    )


def _captions(path: Path, image_id: str) -> pa.Table:
    table, _ = captions.read(path)
    return table.filter(pa.array([found == image_id for found in table["image_id"].to_pylist()]))


def _regions(
    labels: np.ndarray, described: pa.Table, quality: np.ndarray, weight: np.ndarray
) -> list[Region]:
    rated = samples.ratings(described)
    return [
        Region(
            number=r,
            outline=outline(labels == r),
            content=row["content"] or "",
            text=row["text"] or "",
            ratings=[
                (name, None if np.isnan(value) else float(value))
                for name, value in zip(captions.RATINGS, rated[r], strict=True)
            ],
            distortions=[(d["family"], d["severity"]) for d in row["distortions"] or []],
            quality=float(quality[r]),
            weight=float(weight[r]),
        )
        for r, row in enumerate(described.to_pylist())
    ]


def outline(mask: np.ndarray) -> str:
    """SVG path data of all borders, holes too, of a mask bool (H, W), in pixels."""
    # doubled, so that borders run along the edges of pixels and thin regions keep their width
    doubled = mask.repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)
    found, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return "".join(_path(_smooth(border)[:, 0]) for border in found)


def _smooth(border: np.ndarray) -> np.ndarray:
    """The border with fewer corners, unless nothing would be left of it."""
    smooth = cv2.approxPolyDP(border, 2 * SMOOTH, closed=True)
    return smooth if len(smooth) > 2 else border


def _path(border: np.ndarray) -> str:
    points = [f"{(x + 0.5) / 2:g} {(y + 0.5) / 2:g}" for x, y in border.tolist()]
    return f"M{'L'.join(points)}Z"


def photo_uri(image: np.ndarray, size: int) -> str:
    """An image uint8 (H, W, 3) as a reduced JPEG, of the best quality that fits `size` bytes."""
    small = images.reduce(image, LONG_SIDE)[..., ::-1]
    for quality in QUALITIES:
        _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(data) * 4 / 3 <= size:
            break
    return _data_uri("image/jpeg", data)


def heat_uri(attention: np.ndarray) -> str:
    """A map float (G, G) from 0 to its peak as a PNG in magma, more opaque where it is higher."""
    side = (HEAT_SIDE, HEAT_SIDE)
    smooth = cv2.resize(attention.astype(np.float32), side, interpolation=cv2.INTER_CUBIC)
    share = np.clip(smooth / max(float(attention.max()), 1e-9), 0, 1)
    rgba = matplotlib.colormaps["magma"](share)  # (H, W, 4) in [0, 1]
    rgba[..., 3] = 0.45 + 0.4 * share
    pixels = np.rint(255 * rgba).astype(np.uint8)
    _, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA))
    return _data_uri("image/png", data)


def _data_uri(kind: str, data: np.ndarray) -> str:
    return f"data:{kind};base64,{base64.b64encode(data.tobytes()).decode()}"


def share_out(total: int, names: Sequence[str]) -> dict[str, int]:
    """How many of `total` images each data set gets; the first ones get what is left over."""
    each, left = divmod(total, max(len(names), 1))
    return {name: each + (i < left) for i, name in enumerate(names)}
