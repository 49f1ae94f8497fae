"""Pictures from the test part of a data set, with their regions and attention."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from rsfiqa import checkpoints, samples
from rsfiqa.errors import ImageError
from rsfiqa.images import load
from rsfiqa.model import Prediction
from rsfiqa.products import captions, manifest, regions
from rsfiqa.products.manifest import ManifestRow
from rsfiqa.products.paths import product_path, shard_name
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.drawing import heat_uri, outlines, photo_uri
from rsfiqa.report.pictures import Explanation, Picture, Region, choose
from rsfiqa.samples import Samples
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
        prediction: Prediction = model(data.batch)
        return prediction


def _explanation(
    folder: Path, dataset: DataSet, row: ManifestRow, prediction: Prediction, i: int
) -> Explanation:
    """Image `i` of the prediction, with its regions and captions from the folder."""
    shard = shard_name(row["shard"])
    reader = regions.Reader(product_path(folder, "segment", shard))
    labels = reader[row["image_id"]].labels
    attention = prediction.attention[i].double().numpy()
    attention = attention * attention.size  # 1 everywhere for a uniform map
    return Explanation(
        size=labels.shape[::-1],
        predicted=dataset.scale.to_mos(float(prediction.quality[i])),
        global_term=dataset.scale.span * float(prediction.global_term[i]),
        regions=_regions(
            labels,
            _captions(product_path(folder, "caption", shard), row["image_id"]),
            dataset.scale.to_mos(prediction.region_quality[i].double().numpy()),
            prediction.region_weight[i].double().numpy(),
        ),
        heat=heat_uri(attention),
        peak=float(attention.max()),
    )


def _captions(path: Path, image_id: str) -> pa.Table:
    """The captions of one image's regions."""
    table, _ = captions.read(path)
    return table.filter(pc.equal(table["image_id"], image_id))


def _regions(
    labels: np.ndarray, table: pa.Table, scores: np.ndarray, weights: np.ndarray
) -> list[Region]:
    """The regions of a label map from their captions, scores (R,) and weights (R,)."""
    ratings, borders = captions.ratings_array(table), outlines(labels)
    return [
        Region(
            number=r,
            outline=borders[r],
            content=row["content"] or "",
            text=row["text"] or "",
            ratings=[
                (name, None if np.isnan(value) else float(value))
                for name, value in zip(RATINGS, ratings[r], strict=True)
            ],
            distortions=[(d["family"], d["severity"]) for d in row["distortions"] or []],
            score=float(scores[r]),
            weight=float(weights[r]),
        )
        for r, row in enumerate(table.to_pylist())
    ]


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
