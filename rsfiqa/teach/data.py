"""Pristine photographs to examples: views distorted at known severity, questions, answers."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from rsfiqa.captioners.rule_based import captioner as rule_based
from rsfiqa.captioners.vlm import prompt
from rsfiqa.errors import ImageError, InputError
from rsfiqa.images import load
from rsfiqa.io.atomic import write_bytes
from rsfiqa.io.json_files import write_json
from rsfiqa.io.provenance import Provenance
from rsfiqa.products import failures
from rsfiqa.products.paths import failures_path
from rsfiqa.products.versions import VERSIONS
from rsfiqa.splits import TEST, seed_of
from rsfiqa.teach import examples, sources, views
from rsfiqa.teach.examples import Example
from rsfiqa.teach.options import TeachDataOptions
from rsfiqa.teach.sources import PARTS, Source
from rsfiqa.teach.views import Spoilt

log = logging.getLogger("rsfiqa")
MARK = "source.json"  # of a source whose examples are complete
LINES = "examples.jsonl"


def run(
    folder: Path,
    folders: Sequence[Path],
    options: TeachDataOptions,
    *,
    seed: int,
    max_failed_fraction: float,
) -> None:
    """Write train.jsonl, validation.jsonl, test.jsonl and their pictures.

    Sources that are done already are skipped.

    Args:
        folder: takes the examples.
        folders: of data sets of pristine photographs, prepared and segmented.
        options: of the stage.
        seed: of parts, views and distortions.
        max_failed_fraction: see `failures.check_failed_fraction`.

    Raises:
        InputError: as `sources.read`; no photograph to teach or to test by; too large a share of
            photographs that cannot be read.
    """
    cv2.setNumThreads(1)
    known = sources.read(
        folders,
        validation_fraction=options.validation_fraction,
        test_fraction=options.test_fraction,
        seed=seed,
    )
    _check_parts(known, options)
    wanted = [source for source in known if not options.part or source.part in options.part]
    reasons: dict[str, str] = {}
    for source in tqdm(wanted, "teach data", unit="photograph", disable=None):
        try:
            _make(folder, source, options, seed)
        except ImageError as error:
            reasons[name_of(source)] = str(error)
            log.warning("%s: %s", name_of(source), error)
    path = folder / "data.json"
    failures.check_failed_fraction(path, reasons, len(wanted), max_failed_fraction)
    failures.write(failures_path(path), "teach", reasons)
    made = [source for source in wanted if name_of(source) not in reasons]
    counts = {part: _publish(folder, part, made) for part in options.part or PARTS}
    _describe(path, made, counts, options, seed)
    log.info("teach data: %s", ", ".join(f"{n} {part}" for part, n in counts.items()))


def _check_parts(known: Sequence[Source], options: TeachDataOptions) -> None:
    """Refuse parts that would be empty; nobody has to validate."""
    for part in options.part or PARTS:
        if part != "validation" and not any(source.part == part for source in known):
            raise InputError(
                f"teach.data.test_fraction: must leave photographs for part {part}, found none of"
                f" {len(known)} with {options.test_fraction:g}; change it, add photographs, or"
                " name the parts that are wanted (--part)"
            )


def name_of(source: Source) -> str:
    """What a source is called, and its folder."""
    return f"{source.dataset}/{source.image_id}"


def _make(folder: Path, source: Source, options: TeachDataOptions, seed: int) -> None:
    """The examples of one source, unless they are there."""
    place = folder / "sources" / name_of(source)
    provenance = Provenance(
        product="examples",
        schema=examples.VERSION,
        stage="teach",
        version=VERSIONS["teach"],
        options=options.recorded() | {"seed": seed, "part": source.part, "prompt": prompt.VERSION},
        inputs={"image": source.sha256, "regions": source.regions_sha256},
    )
    mark = place / MARK
    if mark.is_file() and mark.read_text("utf-8") == provenance.to_json():
        return
    mark.unlink(missing_ok=True)
    labels = source.shard[source.image_id].labels
    image, labels = load.load_with_labels(source.path, labels, options.long_side)
    lines = [
        example
        for number, spoilt in enumerate(_views(image, labels, source, options, seed))
        for example in _examples(folder, place, number, spoilt, source, options.max_pixels)
    ]
    examples.write(place / LINES, lines)
    write_bytes(mark, provenance.to_json().encode())


def _views(
    image: np.ndarray, labels: np.ndarray, source: Source, options: TeachDataOptions, seed: int
) -> Iterator[Spoilt]:
    """To test by: every family at every level once. To teach by: as many as asked for."""

    def random(number: int) -> np.random.Generator:
        return np.random.default_rng(seed_of(seed, name_of(source), number))

    if source.part == TEST:
        for number, distortions in enumerate(views.every_one()):
            yield views.tested(image, labels, distortions, random(number))
        return
    for number in range(options.views):
        draws = random(number)
        shown = views.varied(image, labels, draws) if options.vary else (image, labels)
        yield views.taught(
            *shown,
            views.KINDS[number % len(views.KINDS)],
            questions=options.questions,
            two_distortions_fraction=options.two_distortions_fraction,
            random=draws,
        )


def _examples(
    folder: Path, place: Path, number: int, spoilt: Spoilt, source: Source, max_pixels: int
) -> Iterator[Example]:
    """The questions about one view, whose pictures are written."""
    contents = [row["content"] for row in rule_based.caption(spoilt.pristine, spoilt.labels)]
    stem = f"{number:05d}"
    labels, whole = place / f"{stem}.labels.png", place / f"{stem}.png"
    examples.write_labels(labels, spoilt.labels)
    for region, distortions in sorted(spoilt.asked.items()):
        cut = prompt.cut_out(spoilt.image, spoilt.labels, region)
        wanted = examples.answer_of(contents[region], distortions)
        messages, pictures = examples.chat(examples.request(spoilt.image, cut, max_pixels), wanted)
        paths = (whole, place / f"{stem}.{region}.png")
        for path, content in zip(paths, pictures, strict=True):
            write_bytes(path, content)
        yield Example(
            id=f"{name_of(source)}/{number}/{region}",
            source=name_of(source),
            kind=spoilt.kind,
            region=region,
            distortions=distortions,
            labels=labels.relative_to(folder).as_posix(),
            images=tuple(path.relative_to(folder).as_posix() for path in paths),
            messages=messages,
        )


def _publish(folder: Path, part: str, made: Sequence[Source]) -> int:
    """Write the examples of a part from those of its sources; how many there are."""
    lines = [
        example
        for source in made
        if source.part == part
        for example in examples.read(folder / "sources" / name_of(source) / LINES)
    ]
    examples.write(folder / f"{part}.jsonl", lines)
    return len(lines)


def _describe(
    path: Path,
    made: Sequence[Source],
    counts: Counter | dict[str, int],
    options: TeachDataOptions,
    seed: int,
) -> None:
    """Write what made the examples, and which photographs are in which part."""
    parts = {part: [name_of(s) for s in made if s.part == part] for part in counts}
    write_json(
        path,
        {
            "version": VERSIONS["teach"],
            "prompt": prompt.VERSION,
            "options": options.recorded() | {"seed": seed},
            "examples": dict(counts),
            "sources": parts,
        },
    )
