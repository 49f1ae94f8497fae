"""Pictures with their regions and attention: which ones, and what is said of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from rsfiqa import samples
from rsfiqa.errors import ImageError
from rsfiqa.images import load
from rsfiqa.model import RSA, Prediction
from rsfiqa.products import captions, checkpoints, regions
from rsfiqa.products.paths import product_path
from rsfiqa.report.drawing import heat_uri, outlines, photo_uri
from rsfiqa.report.record import DataSet
from rsfiqa.samples import Samples
from rsfiqa.vocabulary import RATINGS

BUDGET = 10_000_000  # bytes of all pictures together, so that the page stays below 15 MB
MARKUP = 1300  # bytes of a region beside its outline and text
KINDS = {
    "best": "best predicted",
    "worst": "worst predicted",
    "mistaken": "most mistaken",
    "spread": "spread over the range",
    "failed": "with a failure",
}


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
        name: of the image.
        source: data set or folder, by which pictures are filtered.
        dataset: in whose units its scores are.
        roles: why it was chosen, of `KINDS`.
        photo: data URI; empty if the file could not be read.
        missing: why it could not be read.
        size: width and height of the label map in pixels.
        heat: data URI of the attention map; empty without attention.
        peak: the map's highest value, as a multiple of a uniform map.
        mos: opinion score; None without one.
        mos_std: of the opinions; None if unknown.
        predicted: score.
        global_term: what the whole image adds to the weighted regions; None if unknown.
        regions: largest first.
        note: what else a reader must know; empty for nothing.
    """

    name: str
    source: str
    dataset: DataSet
    roles: list[str]
    photo: str
    missing: str
    size: tuple[int, int]
    heat: str
    peak: float
    mos: float | None
    mos_std: float | None
    predicted: float
    global_term: float | None
    regions: list[Region]
    note: str = ""

    @property
    def kinds(self) -> list[str]:
        """Its roles, and whether its file or a caption failed."""
        failed = self.missing or not all(region.content for region in self.regions)
        return [*self.roles, *(["failed"] if failed else [])]


def choose(
    predicted: np.ndarray, count: int, quality: np.ndarray | None = None
) -> dict[int, list[str]]:
    """Which images are shown and why: index to roles, best predicted first.

    In equal shares the best and the worst predicted, the most mistaken where the quality is known,
    and others evenly over the predicted range.

    Args:
        predicted: float (N,), higher is better.
        count: images at most.
        quality: float (N,) on the scale of `predicted`; None if unknown.
    """
    orders = {"best": np.argsort(-predicted, kind="stable")}
    orders["worst"] = orders["best"][::-1]
    if quality is not None:
        orders["mistaken"] = np.argsort(-np.abs(predicted - quality), kind="stable")
    roles: dict[int, list[str]] = {}
    for rank in range(min(max(1, count // (len(orders) + 1)), len(predicted))):
        for role, order in orders.items():
            index = int(order[rank])
            if index in roles or len(roles) < count:
                roles.setdefault(index, []).append(role)
    wanted = min(count, len(predicted)) - len(roles)
    for target in np.linspace(predicted.max(), predicted.min(), wanted + 2)[1:-1]:
        free = [int(index) for index in orders["best"] if int(index) not in roles]
        roles[min(free, key=lambda index: abs(predicted[index] - target))] = ["spread"]
    return {int(index): roles[int(index)] for index in orders["best"] if int(index) in roles}


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
        size: bytes of one picture with its outlines and heat map.
    """
    predicted, quality = predictions["predicted"].to_numpy(), predictions["quality"].to_numpy()
    image_ids = predictions["image_id"].to_pylist()
    roles = {image_ids[i]: why for i, why in choose(predicted, count, quality).items()}
    model, card = checkpoints.read(checkpoint)
    tuned = checkpoints.read_backbone(checkpoint, card)
    data = samples.load(folder)
    data = data.take(np.isin(np.asarray(data.image_ids), list(roles)))
    if tuned is not None:
        data = samples.with_grid_features(data, tuned, card.backbone["long_side"])
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
    labels = regions.Reader(product_path(folder, "segment", shard))[row["image_id"]].labels
    attention = found.attention[i].double().numpy()
    attention = attention * attention.size  # 1 everywhere if uniform
    parts = _regions(
        labels,
        _captions(product_path(folder, "caption", shard), row["image_id"]),
        dataset.native(found.quality[i].double().numpy()),
        found.weight[i].double().numpy(),
    )
    heat = heat_uri(attention)
    photo, missing = photo_of(Path(row["path"]), room(size, parts, heat))
    return Picture(
        name=row["image_id"],
        source=dataset.title,
        dataset=dataset,
        roles=roles,
        photo=photo,
        missing=missing,
        size=labels.shape[::-1],
        heat=heat,
        peak=float(attention.max()),
        mos=row["mos"],
        mos_std=row["mos_std"],
        predicted=float(dataset.native(found.score[i])),
        global_term=float(dataset.span * found.global_term[i]),
        regions=parts,
    )


def room(size: int, parts: Sequence[Region], heat: str) -> int:
    """Bytes of a picture's share that are left for its photograph."""
    words = sum(MARKUP + len(part.outline) + 3 * len(part.text) for part in parts)
    return size - len(heat) - words


def photo_of(path: Path, size: int) -> tuple[str, str]:
    """A photograph as `photo_uri`, and why there is none."""
    try:
        return photo_uri(load.load_rgb(path), size), ""
    except ImageError as error:
        return "", str(error)


def _captions(path: Path, image_id: str) -> pa.Table:
    table, _ = captions.read(path)
    return table.filter(pa.array([found == image_id for found in table["image_id"].to_pylist()]))


def _regions(
    labels: np.ndarray, described: pa.Table, quality: np.ndarray, weight: np.ndarray
) -> list[Region]:
    rated, borders = samples.ratings(described), outlines(labels)
    return [
        Region(
            number=r,
            outline=borders[r],
            content=row["content"] or "",
            text=row["text"] or "",
            ratings=[
                (name, None if np.isnan(value) else float(value))
                for name, value in zip(RATINGS, rated[r], strict=True)
            ],
            distortions=[(d["family"], d["severity"]) for d in row["distortions"] or []],
            quality=float(quality[r]),
            weight=float(weight[r]),
        )
        for r, row in enumerate(described.to_pylist())
    ]


def allocate(total: int, names: Sequence[str]) -> dict[str, int]:
    """How many of `total` images each data set gets; the first ones get what is left over."""
    each, left = divmod(total, max(len(names), 1))
    return {name: each + (i < left) for i, name in enumerate(names)}
