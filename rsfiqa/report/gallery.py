"""Pictures from the test part of a data set, with their regions and attention."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from rsfiqa import checkpoints, samples
from rsfiqa.captioners.reported import reported_distortions
from rsfiqa.captioners.sentence import reason, revised_sentence
from rsfiqa.errors import ImageError
from rsfiqa.images import load
from rsfiqa.images.outlines import anchor, outlines
from rsfiqa.model import Prediction
from rsfiqa.products import captions, manifest, regions
from rsfiqa.products.manifest import ManifestRow
from rsfiqa.products.paths import product_path, shard_name
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.drawing import attention_heat, cost_heat, photo_uri
from rsfiqa.report.pictures import Explanation, Picture, Region, choose
from rsfiqa.samples import Samples
from rsfiqa.scale import MosScale, itu_level, itu_rating
from rsfiqa.vocabulary import RATINGS


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
        checkpoint: folder of the checkpoint that made the predictions.
        dataset: the data set.
        predictions: of the test part of one split.
        count: largest number of images.
        size: bytes of one picture with its outlines and heat map.
    """
    image_ids = predictions["image_id"].to_pylist()
    chosen = choose(predictions["predicted"].to_numpy(), count, predictions["quality"].to_numpy())
    roles = {image_ids[i]: names for i, names in chosen.items()}
    data = samples.load(folder)
    data = data.take(np.isin(np.asarray(data.image_ids), list(roles)))
    prediction = _predict(checkpoint, data)
    rows = manifest.to_rows(data.rows)
    by_name = {}
    for i, row in enumerate(rows):
        explanation = _explanation(folder, dataset, row, prediction, i)
        name = row["image_id"]
        by_name[name] = _picture(dataset, row, roles[name], explanation, size)
    return [by_name[image_id] for image_id in roles]


def _predict(checkpoint: Path, data: Samples) -> Prediction:
    """The checkpoint's prediction of all images."""
    model, card = checkpoints.read(checkpoint)
    backbone = checkpoints.read_backbone(checkpoint, card)
    if backbone is not None:
        data = data.with_grid_features(backbone, card.backbone["long_side"])
    with torch.inference_mode():
        prediction: Prediction = model(data.batch, by_captions=True)
        return prediction


def _explanation(
    folder: Path, dataset: DataSet, row: ManifestRow, prediction: Prediction, i: int
) -> Explanation:
    """Image `i` of the prediction, with its regions and captions from the folder."""
    shard = shard_name(row["shard"])
    reader = regions.Reader(product_path(folder, "segment", shard))
    labels = reader[row["image_id"]].labels
    attention, contribution = (
        part[i].double().numpy() for part in (prediction.attention, prediction.quality_map)
    )
    parts = _regions(
        labels,
        _captions(product_path(folder, "caption", shard), row["image_id"]),
        prediction.region_quality[i].double().numpy(),
        prediction.region_weight[i].double().numpy(),
        dataset.scale,
    )
    marked = max(parts, key=lambda part: part.cost)
    return Explanation(
        size=labels.shape[::-1],
        predicted=dataset.scale.to_mos(float(prediction.quality[i])),
        regions=parts,
        marked=marked.number,
        marked_as="the most costly" if marked.cost > 0 else "",
        cost=cost_heat(abs(dataset.scale.span) * (attention - contribution), dataset.scale),
        attention=attention_heat(attention),
    )


def _captions(path: Path, image_id: str) -> pa.Table:
    """The captions of one image's regions."""
    table, _ = captions.read(path)
    return table.filter(pc.equal(table["image_id"], image_id))


def _regions(
    labels: np.ndarray, table: pa.Table, quality: np.ndarray, weights: np.ndarray, scale: MosScale
) -> list[Region]:
    """The regions of a label map from their captions, quality (R,) and weights (R,).

    Their captions get the overall rating and word of the predicted quality, as `Scorer` gives them.
    """
    ratings, borders = captions.ratings_array(table), outlines(labels)
    levels = [itu_level(float(value)) for value in quality]
    scores = scale.to_mos(quality)
    costs = weights * scale.shortfall(scores)
    rows = table.to_pylist()
    named = [row["distortions"] or [] for row in rows]
    areas = np.bincount(labels.ravel(), minlength=len(rows))
    reported = reported_distortions(named, ratings, quality, areas)
    return [
        Region(
            number=r,
            outline=borders[r],
            anchor=anchor(labels == r),
            content=row["content"] or "",
            text=revised_sentence(row["text"] or "", named[r], reported[r], levels[r]),
            ratings=_ratings(ratings[r], float(quality[r])),
            reason=reason(reported[r], levels[r]) if row["text"] else "",
            score=float(scores[r]),
            weight=float(weights[r]),
            cost=float(costs[r]),
        )
        for r, row in enumerate(rows)
    ]


def _ratings(values: np.ndarray, quality: float) -> list[tuple[str, float | None]]:
    """Name and value of each rating; None if the caption failed, but for the overall rating."""
    known = dict(zip(RATINGS, map(float, values), strict=True)) | {"overall": itu_rating(quality)}
    return [(name, None if np.isnan(value) else value) for name, value in known.items()]


def _picture(
    dataset: DataSet, row: ManifestRow, roles: list[str], explanation: Explanation, size: int
) -> Picture:
    photo, missing = read_photo(Path(row["path"]), explanation.photo_budget(size))
    return Picture(
        name=row["image_id"],
        source=dataset.title,
        dataset=dataset,
        roles=roles,
        photo=photo,
        missing=missing,
        explanation=explanation,
        mos=row["mos"],
        mos_std=row["mos_std"],
    )


def read_photo(path: Path, size: int) -> tuple[str, str]:
    """A photograph as a data URI of at most `size` bytes, and why it could not be read."""
    try:
        return photo_uri(load.load_rgb(path), size), ""
    except ImageError as error:
        return "", str(error)
