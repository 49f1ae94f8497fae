"""Captions of MMP-2k that are made from people's statements, as a data set of their own."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.perception.measures import inside_fraction
from rsfiqa.captioners.by_image import MENTIONED
from rsfiqa.captioners.sentence import caption_sentence
from rsfiqa.embed import stage as embed
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import captions, manifest, regions, statements
from rsfiqa.products.captions import CaptionRow, Distortion
from rsfiqa.products.paths import manifest_path, product_path, statements_path
from rsfiqa.products.statements import FACTORS, Statement, box_of
from rsfiqa.runtime import shards
from rsfiqa.runtime.shards import Shard, images_digest
from rsfiqa.splits import seed_of
from rsfiqa.vocabulary import RATINGS, REALISTIC_FAMILIES, rating_at

MOST = 0.5  # fraction of a region in a stated part from which the region has what is stated
MAX_FAILED = 0.01


def write_oracle(source: Path, folder: Path, *, shuffled: bool) -> None:
    """Write captions and embeddings from statements; the other products are those of the source.

    Args:
        source: folder of MMP-2k with all its products.
        folder: takes the products.
        shuffled: give each image the statements of another one, as a control.

    Raises:
        InputError: see `read_statements`.
    """
    said = read_statements(source)
    images, _ = manifest.read(manifest_path(source))
    ids: list[str] = images["image_id"].to_pylist()
    if shuffled:
        said = shuffle(said, ids)
    _copy(source, folder)
    options = {
        "version": 1,
        "backend": "statements",
        "shuffled": shuffled,
        "statements": sha256_of(statements_path(source)),
    }
    shards.run(
        "caption",
        folder,
        schema=captions.VERSION,
        options=options,
        make=lambda shard: _caption_shard(shard, source, said),
        write=captions.write,
        inputs={"regions": "segment"},
        max_failed_fraction=MAX_FAILED,
    )
    embed.run(folder, EmbedOptions(), max_failed_fraction=MAX_FAILED)


def read_statements(folder: Path) -> dict[str, list[Statement]]:
    """The statements about the images of a data set, by image_id.

    Raises:
        InputError: there are none, or they are about the images of another manifest.
    """
    path = statements_path(folder)
    table, provenance = statements.read(path)
    images, _ = manifest.read(manifest_path(folder))
    known = set(images["image_id"].to_pylist())
    others = sorted(set(table["image_id"].to_pylist()) - known)
    if others or provenance.inputs.get("manifest") != images_digest(images):
        found = f"{len(others)} others, such as {others[0]}" if others else "another manifest's"
        raise InputError(
            f"{path}: statements must be about the images of {manifest_path(folder)}, found"
            f" {found}; prepare the set again"
        )
    return statements.by_image(table)


def shuffle(
    said: Mapping[str, Sequence[Statement]], image_ids: Sequence[str]
) -> dict[str, list[Statement]]:
    """The statements of another image for each image, the next one in a random order."""
    order = np.random.default_rng(seed_of("shuffled statements")).permutation(len(image_ids))
    ids = [image_ids[i] for i in order]
    return {
        image_id: list(said.get(other, ()))
        for image_id, other in zip(ids, [*ids[1:], *ids[:1]], strict=True)
    }


def _copy(source: Path, folder: Path) -> None:
    """Copy what does not depend on captions, unless it is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [manifest_path(source), *source.glob("segment/*"), *source.glob("extract/*")]
    for path in files:
        target = folder / path.relative_to(source)
        if not target.is_file() or sha256_of(target) != sha256_of(path):
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(path, target)


def _caption_shard(shard: Shard, source: Path, said: Mapping[str, Sequence[Statement]]) -> pa.Table:
    """The captions of a shard; contents are those of the source."""
    reader = regions.Reader(shard.path_of("segment"))
    table, _ = captions.read(product_path(source, "caption", shard.name))
    contents: dict[str, list[str]] = {}
    for row in table.select(["image_id", "content"]).to_pylist():
        contents.setdefault(row["image_id"], []).append(row["content"])
    return captions.to_table(
        {
            image_id: caption_rows(found, reader[image_id].labels, said.get(image_id, ()))
            for image_id, found in contents.items()
        }
    )


def caption_rows(
    contents: Sequence[str], labels: np.ndarray, said: Sequence[Statement]
) -> list[CaptionRow]:
    """The captions of an image's regions from what people said of it.

    Args:
        contents: what each of R regions shows.
        labels: label map (H, W), 0..R-1.
        said: about the image.
    """
    about: list[list[Statement]] = [[] for _ in contents]
    for statement in said:
        for region in stated_regions(labels, statement.position):
            about[region].append(statement)
    return [
        _row(region, content, stated)
        for region, (content, stated) in enumerate(zip(contents, about, strict=True))
    ]


def stated_regions(labels: np.ndarray, position: str) -> list[int]:
    """The regions that a position means: those at least half in it, else the largest in it.

    Args:
        labels: label map (H, W), 0..R-1.
        position: of `statements.POSITIONS`.
    """
    height, width = labels.shape
    box = box_of(position)
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    mask = np.outer((box.top <= y) & (y <= box.bottom), (box.left <= x) & (x <= box.right))
    inside = np.flatnonzero(inside_fraction(labels, mask) >= MOST)
    chosen = inside if len(inside) else [np.bincount(labels[mask]).argmax()]
    return [int(region) for region in chosen]


def _row(region: int, content: str, stated: Sequence[Statement]) -> CaptionRow:
    """The caption of a region; the worst that is stated of it comes first."""
    severities = dict.fromkeys(RATINGS, 0)
    for one in stated:
        for rating in _ratings(one.factor) | {"overall"}:
            severities[rating] = max(severities[rating], one.severity)
    expectations = {name: rating_at(worst) for name, worst in severities.items()}
    levels = {name: int(np.rint(value)) for name, value in expectations.items()}
    named: dict[str, int] = {}
    for one in sorted(stated, key=lambda one: -one.severity):
        named.setdefault(FACTORS[one.factor][0], one.severity)
    distortions = [Distortion(family=name, severity=worst) for name, worst in named.items()]
    shown = f"A {content.partition(',')[0]}"
    return CaptionRow(
        region=region,
        content=content,
        ratings=levels,
        expectations=expectations,
        text=caption_sentence(shown, distortions[:MENTIONED], levels["overall"]),
        distortions=distortions,
    )


def _ratings(factor: str) -> set[str]:
    """The ratings that a factor lowers: those of all families that it means."""
    known = [name for name in FACTORS[factor] if name in REALISTIC_FAMILIES]
    return {REALISTIC_FAMILIES[name].rating for name in known}
