"""Segmentation: this stage against the package's own generator, in one run on the same images.

Both sides have the same small random model, the same points and thresholds, and do all the work
of a real one. Random weights give useless masks, so what the decoder would say is replaced, on
both sides, by the same masks for the same point, made beforehand from superpixels on three scales;
the time of that replacement is taken off both sides. Each side runs in a process of its own, for
its peak memory.
"""

import csv
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import cv2
import numpy as np
import torch
from scipy import ndimage
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.build_sam import _build_sam
from segment_anything.modeling import Sam
from skimage.segmentation import felzenszwalb, find_boundaries, slic
from torch import Tensor, nn

from benchmarks.figures import FOLDER, RELEASES, ROOT, add_data, parser, write
from rsfiqa.images import load, resize
from rsfiqa.io.provenance import Provenance
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import manifest, regions
from rsfiqa.products.manifest import ManifestRow
from rsfiqa.products.paths import product_path
from rsfiqa.runtime import shards
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.partition import merge_small_regions, partition
from rsfiqa.segmenters.sam import checkpoint as sam_checkpoint
from rsfiqa.segmenters.sam.decoder import run_transformer, upscale_masks
from rsfiqa.segmenters.sam.generator import MaskGenerator, point_rounds
from rsfiqa.segmenters.sam.masks import REDUCTION, Masks
from rsfiqa.segmenters.sam.prefetch import resize_for_sam
from rsfiqa.segmenters.sam.segmenter import SamSegmenter
from rsfiqa.segmenters.superpixel import segment_image, superpixel_regions

POINTS = 24  # a side; the decoder of any size takes 0.15 s a point on one core
SIDES = ("stock", "exact", "adaptive")
SCALES = (10, 36, 110)  # superpixels per image behind the three masks of a point
LOGITS = 256  # pixels of a mask on each side
SLOPE = 3.0  # logits per pixel of distance from a border
WAVER = 0.35  # pixels by which masks of one region, prompted at other points, differ
TOLERANCE = 2  # pixels by which a border may be missed
SMALL = {
    "encoder_embed_dim": 96,
    "encoder_depth": 2,
    "encoder_num_heads": 3,
    "encoder_global_attn_indexes": [1],
}
# partitions are compared near the number of masks, and as the defaults would join them: joining
# is sequential, so that one mask more or less can decide what joins what
FINE: dict[str, Any] = {"max_regions": 64, "min_area_fraction": 0.002}
COARSE: dict[str, Any] = {"max_regions": 12, "min_area_fraction": 0.01}
THRESHOLDS = {"pred_iou_thresh": 0.88, "stability_score_thresh": 0.75}

P = ParamSpec("P")
R = TypeVar("R")


class Clock:
    """Seconds spent in some part of a side's work."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, its time added up."""

        def run(*arguments: P.args, **named: P.kwargs) -> R:
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - started

        return run


@dataclass(frozen=True)
class Record:
    """What the decoder is made to say of one image.

    Attributes:
        size: height and width of the model's input without padding.
        signature: by which the image is known: part of its embedding.
        region: int64 (3, POINTS**2), which region of each scale a point lies in.
        distance: float32 (R, 256, 256), signed distance to the border of each region of all scales.
        shift: float32 (POINTS**2, 3), by how much the mask of a point is larger, pixels.
        iou: float32 (POINTS**2, 3), estimated quality.
    """

    size: tuple[int, int]
    signature: Tensor
    region: Tensor
    distance: Tensor
    shift: Tensor
    iou: Tensor

    def logits(self, point: Tensor, scale: Tensor) -> Tensor:
        """Float32 (..., 256, 256) of points int64 (...) at scales int64 (...)."""
        found = self.distance[self.region[scale, point]]
        return found.add_(self.shift[point, scale][..., None, None]).mul_(SLOPE)


def signature(embedding: Tensor) -> Tensor:
    """Some of the numbers of an embedding (1, 256, 64, 64)."""
    return embedding[0, :8, ::8, ::8].flatten().float()


def record(
    scales: Sequence[np.ndarray], embedding: Tensor, size: tuple[int, int], seed: int
) -> Record:
    """Masks for every point of the grid from a label map int (h, w) on each of three scales."""
    random = np.random.default_rng(seed)
    height, width = (max(1, round(side / REDUCTION)) for side in size)
    (points,) = point_rounds(POINTS, (1,))
    x, y = (points * [width, height]).astype(int).T
    region: list[np.ndarray] = []
    distance: list[np.ndarray] = []
    for scale in scales:
        labels = resize.fit_labels(scale.astype(np.int32), (height, width))
        region.append(labels[y, x] + len(distance))
        for label in range(labels.max() + 1):
            inside, outside = labels == label, labels != label
            signed = ndimage.distance_transform_edt(inside)
            signed -= ndimage.distance_transform_edt(outside)
            one = np.full((LOGITS, LOGITS), -20, np.float32)
            one[:height, :width] = np.clip(signed - 0.5 * np.sign(signed), -20, 20)
            distance.append(one)
    shape = (POINTS**2, len(scales))
    device = embedding.device
    return Record(
        size,
        signature(embedding),
        torch.from_numpy(np.stack(region)).long().to(device),
        torch.from_numpy(np.stack(distance)).to(device),
        torch.from_numpy(random.normal(0, WAVER, shape).astype(np.float32)).to(device),
        torch.from_numpy(random.uniform(0.84, 1.0, shape).astype(np.float32)).to(device),
    )


class Recorded:
    """Knows an image by its embedding and answers for its decoder."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.lookup, self.model_time = Clock(), Clock()

    def of(self, embedding: Tensor) -> Record:
        """The record of the image with this embedding (1, 256, 64, 64)."""
        found = signature(embedding)
        return min(self.records, key=lambda one: float((one.signature - found).abs().sum()))

    def decode(
        self, model: Sam, embedding: Tensor, points: Tensor, least: float, shape: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """As `decode_points`: the same work, another answer."""
        tokens, grid, _ = self.model_time.timed(run_transformer)(model, embedding, points)
        started = time.perf_counter()
        known = self.of(embedding)
        column, row = (points * POINTS / points.new_tensor(known.size[::-1])).long().T
        point = row * POINTS + column
        chosen = known.iou[point] > least
        which, scale = chosen.nonzero().T
        logits = known.logits(point[which], scale)[:, : shape[0], : shape[1]]
        self.lookup.seconds += time.perf_counter() - started
        self.model_time.timed(upscale_masks)(model, tokens, grid, chosen, shape)
        return logits, known.iou[point][chosen]


class StockDecoder(nn.Module):
    """The package's decoder: the same work, another answer, points in the grid's order."""

    def __init__(self, decoder: nn.Module, recorded: Recorded) -> None:
        super().__init__()
        self.decoder, self.recorded, self.next = decoder, recorded, 0

    def forward(self, image_embeddings: Tensor, **rest: Any) -> tuple[Tensor, Tensor]:
        """Low-resolution logits (P, 3, 256, 256) and estimated quality (P, 3)."""
        masks, _ = self.recorded.model_time.timed(self.decoder)(
            image_embeddings=image_embeddings, **rest
        )
        started = time.perf_counter()
        known = self.recorded.of(image_embeddings)
        point = torch.arange(self.next, self.next + len(masks), device=masks.device)
        self.next = (self.next + len(masks)) % POINTS**2
        every = torch.arange(len(SCALES), device=masks.device)
        found = known.logits(*torch.meshgrid(point, every, indexing="ij"))
        self.recorded.lookup.seconds += time.perf_counter() - started
        return found, known.iou[point]


def options(mode: str, checkpoint: Path, **more: Any) -> SegmentOptions:
    """Options of our side: those of the package, but for the mode and what is given."""
    return SegmentOptions(
        backend="sam",
        checkpoint=str(checkpoint),
        mode=mode,
        points_per_side=POINTS,
        **THRESHOLDS,
        **FINE,
        **more,
    )


def superpixels(image: np.ndarray) -> list[np.ndarray]:
    """A label map of superpixels on each scale."""
    return [superpixel_regions(image, superpixels=600, regions=count) for count in SCALES]


def records(
    rows: Sequence[ManifestRow],
    generator: MaskGenerator,
    scales_of: Callable[[np.ndarray], list[np.ndarray]] = superpixels,
) -> list[Record]:
    """One for each image, its masks from what `scales_of` makes of it; not timed."""
    found = []
    for i, row in enumerate(rows):
        image = load.load_rgb(Path(row["path"]))
        resized = resize_for_sam(row["image_id"], image, generator.side, 512)
        ((_, embedding),) = generator.embed([[resized]])
        found.append(record(scales_of(image), embedding[None], resized.size, i))
    return found


def run_side(side: str, folder: Path) -> None:
    """One side over all images: its products, and side.json with its times and peak memory."""
    model = sam_checkpoint.load(folder / "small.pth", torch.device("cpu"))
    shard = shards.Shard(folder / side, "00000", "segment", rows_of(folder))
    generator = MaskGenerator(model, options("exact", Path("x")))
    recorded = Recorded(records(shard.images, generator))
    started, processor = time.perf_counter(), time.process_time()
    if side == "stock":
        before, masks = run_stock(model, recorded, shard, folder / side)
    else:
        before, masks = run_ours(side, model, recorded, shard, folder)
    spent = time.perf_counter() - started - recorded.lookup.seconds
    content = {
        "seconds": spent,
        "processor_seconds": time.process_time() - processor - recorded.lookup.seconds,
        "after_decoder": spent - before - recorded.model_time.seconds,
        "masks": masks / len(shard.images),
        "bytes": sum(path.stat().st_size for path in (folder / side).rglob("*") if path.is_file()),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    (folder / f"{side}.json").write_text(json.dumps(content), "utf-8")


def run_stock(
    model: Sam, recorded: Recorded, shard: shards.Shard, folder: Path
) -> tuple[float, int]:
    """As the package's script amg.py: a PNG per mask and a table, per image."""
    model.mask_decoder = StockDecoder(model.mask_decoder, recorded)
    generator = SamAutomaticMaskGenerator(model, points_per_side=POINTS, **THRESHOLDS)
    before, count = Clock(), 0
    generator.predictor.set_image = before.timed(generator.predictor.set_image)
    read = before.timed(lambda path: cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB))
    for row in shard.images:
        masks = generator.generate(read(row["path"]))
        place = folder / Path(row["image_id"]).stem
        place.mkdir(parents=True, exist_ok=True)
        with (place / "metadata.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["id", "area", "bbox", "point", "predicted_iou", "stability_score"])
            for i, mask in enumerate(masks):
                cv2.imwrite(str(place / f"{i}.png"), mask["segmentation"] * 255)
                names = ("area", "bbox", "point_coords", "predicted_iou", "stability_score")
                table.writerow([i, *(mask[name] for name in names)])
        count += len(masks)
    return before.seconds, count


class Counting(MaskGenerator):
    """Counts masks, and the time before the decoder."""

    found = 0
    before = Clock()

    def _embed(self, *arguments: Any) -> Tensor:
        return self.before.timed(super()._embed)(*arguments)

    def masks(self, *arguments: Any) -> Masks:
        """As the generator's."""
        made = super().masks(*arguments)
        self.found += len(made)
        return made


def run_ours(
    side: str, model: Sam, recorded: Recorded, shard: shards.Shard, folder: Path
) -> tuple[float, int]:
    """This stage on one shard."""
    generator = Counting(model, options(side, folder / "small.pth"), recorded.decode)
    found = SamSegmenter(generator).segment_shard(shard)
    origin = Provenance("regions", regions.VERSION, "segment", 1)
    regions.write(shard.path, found, origin)
    return generator.before.seconds, generator.found


def rows_of(folder: Path) -> list[ManifestRow]:
    """The images of the bench, with image_id and path only."""
    rows: list[ManifestRow] = json.loads((folder / "images.json").read_text("utf-8"))
    return rows


def compute_metrics(folder: Path, side: str) -> dict[str, float]:
    """How a side's regions fit the partition of the package's masks.

    `mean_iou`: mean, over the regions of the package's partition, of the IoU with the region that
    fits best. `covering`: the same weighted by area (Arbelaez et al. 2011).
    """
    reader = regions.Reader(product_path(folder / side, "segment", "00000"))
    found: dict[str, list[float]] = {"mean_iou": [], "mean_iou_12": [], "covering": []}
    for row in rows_of(folder):
        ours = reader[row["image_id"]].labels
        paths = (folder / "stock" / Path(row["image_id"]).stem).glob("*.png")
        masks = np.stack([load.load_rgb(path)[..., 0] > 0 for path in sorted(paths)])
        best, areas = overlap(partition(masks, **FINE), ours)
        found["mean_iou"] += best.tolist()
        found["covering"].append(float(np.average(best, weights=areas)))
        best, _ = overlap(partition(masks, **COARSE), merge_small_regions(ours, **COARSE))
        found["mean_iou_12"] += best.tolist()
    return {f"{name}_{side}": float(np.mean(values)) for name, values in found.items()}


def bytes_as_shipped(folder: Path, side: str) -> int:
    """Size of a side's product with as many regions as the defaults keep."""
    reader = regions.Reader(product_path(folder / side, "segment", "00000"))
    found = []
    for image_id in reader.image_ids:
        labels = merge_small_regions(reader[image_id].labels, **COARSE)
        found.append(regions.ImageRegions(image_id, labels, regions.region_table(labels)))
    path = folder / f"{side}-12.h5"
    regions.write(path, found, reader.provenance)
    return path.stat().st_size


def overlap(stock: np.ndarray, ours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """IoU of each region of a label map with the region of another that fits best; areas."""
    stock = resize.fit_labels(stock, ours.shape)
    table = np.zeros((stock.max() + 1, ours.max() + 1))
    np.add.at(table, (stock, ours), 1)
    areas = table.sum(axis=1)
    union = areas[:, None] + table.sum(axis=0) - table
    return (table / union).max(axis=1), areas


def superpixel_figures(rows: list[dict[str, Any]], folder: Path) -> dict[str, float]:
    """Speed, size and reading of the superpixel backend, decoding included."""
    settings = SegmentOptions()
    started = time.process_time()
    found = []
    for row in rows:
        labels = segment_image(load.load_rgb(Path(row["path"])), settings)
        found.append(regions.ImageRegions(row["image_id"], labels, regions.region_table(labels)))
    seconds = time.process_time() - started
    path = folder / "superpixel.h5"
    regions.write(path, found, Provenance("regions", regions.VERSION, "segment", 1))
    reader = regions.Reader(path)
    order = np.random.default_rng(0).permutation(len(rows))
    ids = [rows[i]["image_id"] for i in order]
    reader[ids[0]]
    started = time.perf_counter()
    for image_id in ids:
        reader[image_id]
    read = time.perf_counter() - started
    return {
        "superpixel_images_per_s_core": len(rows) / seconds,
        "superpixel_images": len(rows),
        "kb_per_image": path.stat().st_size / len(rows) / 1000,
        "read_ms": 1000 * read / len(rows),
    }


def composites(folder: Path, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Photographs uint8 (H, W, 3) with three pasted objects, and their labels int (H, W).

    An object is a smooth random shape, 2 to 10 % of the image, filled from another photograph.
    """
    paths = sorted(folder.glob("*.png"))
    found = []
    for i in range(count):
        random = np.random.default_rng(i)
        chosen = random.choice(len(paths), 4, replace=False)
        photos = [resize.reduce(load.load_rgb(paths[c]), 512) for c in chosen]
        image, labels = photos[0].copy(), np.zeros(photos[0].shape[:2], np.int32)
        for label, photo in enumerate(photos[1:], start=1):
            other = cv2.resize(photo, image.shape[1::-1], interpolation=cv2.INTER_AREA)
            inside = blob(image.shape[:2], random)
            image[inside], labels[inside] = other[inside], label
        found.append((image, labels))
    return found


def blob(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """A smooth closed shape of 2 to 10 % of the image: bool (H, W)."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    area = random.uniform(0.02, 0.10) * height * width
    cy, cx = random.uniform(0.2, 0.8, 2) * [height, width]
    angle = np.arctan2(y - cy, x - cx)
    radius = np.ones(shape)
    for k in range(2, 6):
        radius += random.normal(0, 0.25 / k) * np.cos(k * angle + random.uniform(0, 2 * np.pi))
    distance = np.hypot(y - cy, x - cx) / np.maximum(radius, 0.2)
    inside: np.ndarray = distance <= np.sqrt(area / np.pi)
    return inside


def boundary_recall(truth: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of the true border that has a found border within `TOLERANCE` pixels."""
    true, found = find_boundaries(truth, mode="inner"), find_boundaries(labels, mode="inner")
    near = ndimage.distance_transform_edt(~found) <= TOLERANCE if found.any() else found
    return float(near[true].mean())


def covering(truth: np.ndarray, labels: np.ndarray) -> float:
    """Mean, over pasted objects, of the IoU with the union of regions that lie mostly in them."""
    found = []
    for label in range(1, truth.max() + 1):
        inside = truth == label
        if inside.any():
            fraction = np.bincount(labels.ravel(), inside.ravel()) / np.bincount(labels.ravel())
            union = (fraction > 0.5)[labels]
            found.append((union & inside).sum() / (union | inside).sum())
    return float(np.mean(found))


def borders(folder: Path, count: int) -> dict[str, float]:
    """How well regions follow the outlines of pasted objects, ours and what a user has at hand."""
    settings = SegmentOptions()
    most = settings.max_regions
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "superpixel": lambda image: segment_image(image, settings),
        "slic": lambda image: slic(image, n_segments=most, start_label=0),
        "felzenszwalb": lambda image: felzenszwalb(image, scale=300, sigma=0.8, min_size=2000),
        "grid": lambda image: np.add.outer(
            np.arange(image.shape[0]) * 3 // image.shape[0] * 4,
            np.arange(image.shape[1]) * 4 // image.shape[1],
        ),
    }
    figures: dict[str, float] = {}
    scenes = composites(folder, count)
    for name, method in methods.items():
        maps = [method(image) for image, _ in scenes]
        pairs = [(truth, labels) for (_, truth), labels in zip(scenes, maps, strict=True)]
        figures[f"boundary_recall_{name}"] = float(np.mean([boundary_recall(*p) for p in pairs]))
        figures[f"object_iou_{name}"] = float(np.mean([covering(*p) for p in pairs]))
        figures[f"regions_{name}"] = float(np.mean([len(np.unique(labels)) for labels in maps]))
    return figures | {"composites": len(scenes)}


def main(arguments: Sequence[str]) -> None:
    """Run all sides, compare, write the figures."""
    if arguments[:1] == ["--side"]:
        run_side(arguments[1], Path(arguments[2]))
        return
    given = parser(__name__, __doc__)
    add_data(given, "livec", "kodak")
    given.add_argument("--images", type=int, default=20, help="number of images")
    options = given.parse_args(arguments)
    data, count = options.data, options.images
    folder = FOLDER / "segment"
    folder.mkdir(parents=True, exist_ok=True)
    livec = PrepareOptions(layout="livec", root=str(data / RELEASES["livec"]))
    prepare.run(folder, livec, shard_size=10**6, max_failed_fraction=0.01, seed=0)
    table, _ = manifest.read(folder / "manifest.parquet")
    every = table.select(["image_id", "path"]).to_pylist()
    (folder / "images.json").write_text(json.dumps(every[:: len(every) // count][:count]), "utf-8")
    torch.manual_seed(0)
    torch.save(_build_sam(**SMALL).state_dict(), folder / "small.pth")
    sides = {}
    for side in SIDES:
        if not (folder / f"{side}.json").is_file():
            line = [sys.executable, "-m", "benchmarks", "segment", "--side", side, str(folder)]
            subprocess.run(line, check=True, cwd=ROOT)
        sides[side] = json.loads((folder / f"{side}.json").read_text("utf-8"))
    figures: dict[str, float] = {"images": count, "points": POINTS**2}
    for side, found in sides.items():
        figures[f"images_per_s_{side}"] = count / found["seconds"]
        figures[f"masks_per_image_{side}"] = found["masks"]
        figures[f"kb_per_image_{side}"] = found["bytes"] / count / 1000
        figures[f"peak_mb_{side}"] = found["peak_mb"]
        if side != "stock":
            for name, key in (("speedup", "seconds"), ("processor", "processor_seconds")):
                figures[f"{name}_{side}"] = sides["stock"][key] / found[key]
            figures |= compute_metrics(folder, side)
    figures["masks_per_image"] = sides["stock"]["masks"]
    figures["postprocess_speedup"] = (
        sides["stock"]["after_decoder"] / sides["exact"]["after_decoder"]
    )
    figures["bytes_ratio"] = bytes_as_shipped(folder, "exact") / sides["stock"]["bytes"]
    figures["bytes_ratio_64"] = sides["exact"]["bytes"] / sides["stock"]["bytes"]
    figures |= superpixel_figures(every[:200], folder) | borders(data / RELEASES["kodak"], 60)
    write("bench-segment", figures, "python -m benchmarks segment --data DIR")
