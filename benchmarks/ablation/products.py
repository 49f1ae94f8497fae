"""Products of the sets of the ablation, by the ordinary stages, made once."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.ablation.conditions import (
    AGIQA3K,
    BIQ2021,
    LIVEC,
    MMP2K,
    ORACLE,
    REGIONS,
    SHUFFLED,
)
from benchmarks.ablation.oracle import write_oracle
from benchmarks.figures import RELEASES
from benchmarks.localization import KINDS, SEVERITIES, distort_region
from benchmarks.pipeline import run_pipeline, write_scores
from rsfiqa import Scorer
from rsfiqa.datasets.demo import pseudo_mos
from rsfiqa.errors import InputError
from rsfiqa.images import load, resize
from rsfiqa.io.atomic import atomic
from rsfiqa.products import manifest
from rsfiqa.products.finished import statistics
from rsfiqa.products.paths import SUFFIX, manifest_path, product_path, shard_names
from rsfiqa.train.distorted import choose_region

SETS = (LIVEC, BIQ2021, AGIQA3K, MMP2K, REGIONS)  # in the order in which products are made
DERIVED = {f"{MMP2K}_{name}": name for name in (ORACLE, SHUFFLED)}  # from products of MMP-2k
GROUPED = (LIVEC, BIQ2021, MMP2K)  # sets of photographs, in which near-duplicates are searched


def make(data: Path, folder: Path, sets: Sequence[str], *, cores: int) -> Path:
    """The folder of results with the products of these sets; finished ones are kept.

    Args:
        data: folder of the data sets as released.
        folder: of config.yaml and the results.
        sets: names of sets, derived ones included.
        cores: used at a time.

    Raises:
        InputError: see `write_regions`, `check_groups` and `write_oracle`.
    """
    base = [name for name in SETS if name in _base_sets(sets)]
    if REGIONS in base:
        write_regions(data / RELEASES["kodak"], folder / REGIONS)
    entries = {name: _entry(data, folder, name) for name in base}
    stages = ("--cores", str(cores), "--until", "embed", "extract")
    official = [name for name in base if name == BIQ2021]  # the captioner learned from the rest
    root = run_pipeline(
        data, folder, *stages, sets=(), entries=entries, cross=False, official=official
    )
    for name in base:
        if name in GROUPED:
            check_groups(root / name)
    for name, kind in DERIVED.items():
        if name in sets:
            write_oracle(root / MMP2K, root / name, shuffled=kind == SHUFFLED)
    return root


def _base_sets(sets: Sequence[str]) -> set[str]:
    return {MMP2K if name in DERIVED else name for name in sets}


def _entry(data: Path, folder: Path, name: str) -> dict[str, Any]:
    """The data set's entry in config.yaml."""
    if name == REGIONS:
        table = folder / REGIONS / "scores.csv"
        return {"layout": "csv", "root": str(table.resolve()), "mos_range": [0, 100]}
    entry = {"layout": name, "root": str((data / RELEASES[name]).resolve())}
    return entry | ({"near_duplicates": "join"} if name in GROUPED else {})


def check_groups(folder: Path) -> None:
    """Refuse a set whose near-duplicates were not joined into groups.

    Raises:
        InputError: names its manifest.
    """
    path = manifest_path(folder)
    _, provenance = manifest.read(path)
    found = provenance.options.get("near_duplicates", "keep")
    if found != "join":
        raise InputError(
            f"{path}: near_duplicates must be join, so that no split parts copies of a photograph,"
            f" found {found}; prepare the set again with --near-duplicates join"
        )


def write_regions(pristine: Path, folder: Path) -> None:
    """Write Kodak's photographs with one region distorted, and their pseudo-MOS as scores.csv.

    The regions are those of the localization benchmark. Finished pictures are kept.

    Args:
        pristine: folder of the photographs.
        folder: takes the pictures and the table.

    Raises:
        InputError: there are no photographs.
    """
    if (folder / "scores.csv").is_file():
        return
    (folder / "images").mkdir(parents=True, exist_ok=True)
    scorer = Scorer.load()
    rows: list[tuple[str, float, str]] = []
    for i, path in enumerate(sorted(pristine.glob("*.png"))):
        image = load.load_rgb(path)
        pictures = {path.name: image} | _distorted(scorer, image, path.stem, i)
        for name, picture in pictures.items():
            with atomic(folder / "images" / name) as partial:
                Image.fromarray(picture).save(partial, "png")
            rows.append((f"images/{name}", round(pseudo_mos(picture, image), 4), path.stem))
    if not rows:
        raise InputError(
            f"{pristine}: must hold photographs of Kodak as PNG, found none; give the folder as"
            " released"
        )
    write_scores(folder / "scores.csv", rows)


def _distorted(scorer: Scorer, image: np.ndarray, stem: str, seed: int) -> dict[str, np.ndarray]:
    """The photograph with one region distorted, by file name."""
    labels = scorer.predict(image).regions.labels
    areas = np.bincount(labels.ravel()) / labels.size
    region = choose_region(areas, np.random.default_rng(seed))
    mask = resize.fit_labels(labels, image.shape[:2]) == region
    return {
        f"{stem}_{kind}_{severity}.png": distort_region(image, mask, kind, severity, seed)
        for kind in KINDS
        for severity in SEVERITIES
    }


def digest(folder: Path) -> str:
    """SHA-256 of the images of a set, their scores and groups, and of how its products were made.

    Only the manifest and the statistics of the shards are read.
    """
    table, provenance = manifest.read(manifest_path(folder))
    columns = table.select(["image_id", "sha256", "quality", "group", "subset"])
    made: list[Mapping[str, Any]] = [
        statistics(product_path(folder, stage, shard)).get("provenance", {})
        for shard in shard_names(provenance.options["shards"])
        for stage in SUFFIX
    ]
    content = json.dumps([columns.to_pylist(), made], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
