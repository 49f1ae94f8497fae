"""teach data: pristine photographs to examples for training, validation and testing."""

import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from rsfiqa.captioners.rule_based import captioner as rule_based
from rsfiqa.captioners.vlm import prompt
from rsfiqa.errors import ImageError, InputError
from rsfiqa.images import load
from rsfiqa.io.atomic import write_bytes
from rsfiqa.io.provenance import Provenance
from rsfiqa.products import failures
from rsfiqa.products.paths import dataset_name, failures_path
from rsfiqa.products.versions import VERSIONS
from rsfiqa.splits import TEST, seed_of
from rsfiqa.teach import description, examples, sources, views
from rsfiqa.teach.examples import Example
from rsfiqa.teach.options import PARTS, Part, TeachDataOptions, recorded_options
from rsfiqa.teach.sources import Source
from rsfiqa.teach.views import View

log = logging.getLogger("rsfiqa")
COMPLETE = "source.json"  # provenance; written once all examples of a photograph are there
LINES = "examples.jsonl"


def run(
    folder: Path,
    folders: Sequence[Path],
    options: TeachDataOptions,
    *,
    parts: Collection[Part] = PARTS,
    seed: int,
    max_failed_fraction: float,
) -> None:
    """Write train.jsonl, validation.jsonl, test.jsonl and their images.

    Photographs whose examples are complete are skipped.

    Args:
        folder: for the examples.
        folders: prepared and segmented data sets of pristine photographs.
        options: of the stage.
        parts: of the examples, to be made.
        seed: of parts, views and distortions.
        max_failed_fraction: see `failures.check_failed_fraction`.

    Raises:
        InputError: as `sources.read` and `description.kept_parts`; no photograph for training or
            for testing; too large a fraction of photographs that cannot be read.
    """
    cv2.setNumThreads(1)
    photographs = sources.read(
        folders,
        validation_fraction=options.validation_fraction,
        test_fraction=options.test_fraction,
        seed=seed,
    )
    _check_parts(photographs, parts, options)
    made_from = {
        "version": VERSIONS["teach"],
        "prompt": prompt.VERSION,
        "options": recorded_options(options, datasets=map(dataset_name, folders), seed=seed),
        "photographs": sources.digest_of(photographs),
    }
    kept = description.kept_parts(folder, parts, made_from)
    description.discard_others(folder, parts, made_from)
    selected = [source for source in photographs if source.part in parts]
    reasons = _make_all(folder, selected, options, seed)
    path = folder / description.NAME
    failures.check_failed_fraction(path, reasons, len(selected), max_failed_fraction)
    kept_names = {source.name for source in photographs if source.part in kept}
    failures.write(
        failures_path(path), "teach", _recorded_reasons(failures_path(path), kept_names) | reasons
    )
    complete = [source for source in selected if source.name not in reasons]
    counts = {part: _publish(folder, part, complete) for part in PARTS if part in parts}
    names = {part: [source.name for source in complete if source.part == part] for part in counts}
    description.write(folder, made_from, examples=counts, sources=names, kept=kept)
    log.info("teach data: %s", ", ".join(f"{count} {part}" for part, count in counts.items()))


def _check_parts(
    photographs: Sequence[Source], parts: Collection[Part], options: TeachDataOptions
) -> None:
    """Refuse empty parts; only validation can be left out."""
    for part in parts:
        if part != "validation" and not any(source.part == part for source in photographs):
            raise InputError(
                f"teach.data.test_fraction: must leave photographs for the part {part}, found none"
                f" of {len(photographs)} with {options.test_fraction:g}; change it, add"
                " photographs, or select parts (--part)"
            )


def _recorded_reasons(path: Path, names: Collection[str]) -> dict[str, str]:
    """Why photographs of these names failed before."""
    rows = failures.read(path).to_pylist() if names and path.is_file() else []
    return {row["image"]: row["reason"] for row in rows if row["image"] in names}


def _make_all(
    folder: Path, photographs: Sequence[Source], options: TeachDataOptions, seed: int
) -> dict[str, str]:
    """Make the examples of all photographs; the reasons of those that cannot be read."""
    reasons: dict[str, str] = {}
    for source in tqdm(photographs, "teach data", unit="photograph", disable=None):
        try:
            _make(folder, source, options, seed)
        except ImageError as error:
            reasons[source.name] = str(error)
            log.warning("%s: %s", source.name, error)
    return reasons


def _make(folder: Path, source: Source, options: TeachDataOptions, seed: int) -> None:
    """Make the examples of one photograph, unless they are complete."""
    place = folder / "sources" / source.name
    provenance = Provenance(
        product="examples",
        schema=examples.VERSION,
        stage="teach",
        version=VERSIONS["teach"],
        options=options.recorded() | {"seed": seed, "part": source.part, "prompt": prompt.VERSION},
        inputs={"image": source.sha256, "regions": source.regions_sha256},
    )
    complete = place / COMPLETE
    if complete.is_file() and complete.read_text("utf-8") == provenance.to_json():
        return
    complete.unlink(missing_ok=True)
    labels = source.shard[source.image_id].labels
    image, labels = load.load_with_labels(source.path, labels, options.long_side)
    lines = [
        example
        for number, view in enumerate(_views(image, labels, source, options, seed))
        for example in _examples(folder, number, view, source, options.max_pixels)
    ]
    examples.write(place / LINES, lines)
    write_bytes(complete, provenance.to_json().encode())


def _views(
    image: np.ndarray, labels: np.ndarray, source: Source, options: TeachDataOptions, seed: int
) -> Iterator[View]:
    """The views of a photograph; for testing, each family at each severity once."""

    def generator(number: int) -> np.random.Generator:
        return np.random.default_rng(seed_of(seed, source.name, number))

    if source.part == TEST:
        for number, distortions in enumerate(views.all_distortions()):
            yield views.evaluation_view(image, labels, distortions, generator(number))
        return
    for number in range(options.views):
        random = generator(number)
        photograph = views.augment(image, labels, random) if options.augment else (image, labels)
        yield views.training_view(
            *photograph,
            views.KINDS[number % len(views.KINDS)],
            regions=options.regions_per_view,
            two_distortions_fraction=options.two_distortions_fraction,
            random=random,
        )


def _examples(
    folder: Path, number: int, view: View, source: Source, max_pixels: int
) -> Iterator[Example]:
    """The examples of one view; writes its label map and images."""
    place, stem = folder / "sources" / source.name, f"{number:05d}"
    labels_path, image_path = place / f"{stem}.labels.png", place / f"{stem}.png"
    contents = [row.content for row in rule_based.caption(view.pristine, view.labels)]
    examples.write_labels(labels_path, view.labels)
    for region, distortions in sorted(view.distortions.items()):
        region_image = prompt.cut_out(view.image, view.labels, region)
        request = examples.request_about(view.image, region_image, max_pixels)
        answer = examples.correct_answer(contents[region], distortions)
        messages, images = examples.to_chat(request, answer)
        paths = (image_path, place / f"{stem}.{region}.png")
        for path, png in zip(paths, images, strict=True):
            write_bytes(path, png)
        yield Example(
            id=f"{source.name}/{number}/{region}",
            source=source.name,
            kind=view.kind,
            region=region,
            distortions=distortions,
            labels=labels_path.relative_to(folder).as_posix(),
            images=tuple(path.relative_to(folder).as_posix() for path in paths),
            messages=messages,
            sha256=examples.digest_of([labels_path, *paths]),
        )


def _publish(folder: Path, part: Part, photographs: Sequence[Source]) -> int:
    """Write the file of one part; the number of its examples."""
    lines = [
        example
        for source in photographs
        if source.part == part
        for example in examples.read(folder / "sources" / source.name / LINES)
    ]
    examples.write(folder / f"{part}.jsonl", lines)
    return len(lines)
