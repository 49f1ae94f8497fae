"""teach test: how well a captioner names distortions, severities and ratings on the test part."""

import json
import logging
import time
from pathlib import Path

from tqdm import tqdm

from rsfiqa import captioners
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.vlm.captioner import VLMCaptioner
from rsfiqa.io.atomic import write_bytes
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import read_json, write_json
from rsfiqa.io.provenance import Provenance
from rsfiqa.products.paths import stats_path
from rsfiqa.products.versions import VERSIONS
from rsfiqa.teach import answers, examples
from rsfiqa.teach.figures import figures_of
from rsfiqa.teach.options import recorded_captioner
from rsfiqa.vocabulary import RATINGS

log = logging.getLogger("rsfiqa")
VERSION = 1  # of the figures
PRINTED = (
    "valid_fraction",
    "family_accuracy",
    "severity_accuracy",
    "severity_within_one",
    "both_accuracy",
    "severity_srcc",
    *(f"{rating}_{figure}" for rating in RATINGS for figure in ("accuracy", "srcc")),
)
NAME_WIDTH = 24  # characters of the first column


def run(
    folder: Path, part: str, options: CaptionOptions, *, name: str, chunk: int = answers.CHUNK
) -> str:
    """Evaluate a captioner; returns the table that compares all captioners of FOLDER as text.

    Writes FOLDER/tests/NAME.PART.json (figures), NAME.PART.jsonl (answers) and NAME.PART.stats.json
    (provenance); for a VLM also NAME.answers.sqlite, a cache of responses, and the log of its
    server.

    Args:
        folder: of the examples.
        part: of the examples, such as test.
        options: of the captioner. A VLM has one attempt at each answer.
        name: of the captioner in files and in the table.
        chunk: see `answers.from_vlm`.

    Raises:
        InputError: no examples, or damaged ones; servers that cannot be used.
    """
    started = time.time()
    source = folder / f"{part}.jsonl"
    tests, digest = examples.read(source), sha256_of(source)
    place = folder / "tests"
    path = place / f"{name}.{part}.json"
    options = options.model_copy(update={"attempts": 1})
    with captioners.load(options, log=place / f"{name}.server.log") as captioner:
        digests = {} if options.endpoints else captioner.model_digests
        if isinstance(captioner, VLMCaptioner):
            cache = place / f"{name}.answers.sqlite"
            texts = answers.from_vlm(
                captioner, folder, tests, digests=digests, cache=cache, chunk=chunk
            )
        else:
            generated = answers.from_captioner(captioner, folder, tests)
            texts = list(tqdm(generated, "teach test", len(tests), disable=None))
    stats_path(path).unlink(missing_ok=True)  # its presence marks finished figures
    lines = "".join(
        json.dumps({"id": example.id, "answer": text}, ensure_ascii=False) + "\n"
        for example, text in zip(tests, texts, strict=True)
    )
    write_bytes(place / f"{name}.{part}.jsonl", lines.encode())
    write_json(path, {"examples": digest} | figures_of(tests, texts))
    provenance = Provenance(
        product="answers",
        schema=VERSION,
        stage="teach",
        version=VERSIONS["teach"],
        options=recorded_captioner(options),
        models=dict(digests),
        inputs={source.name: digest},
    )
    stats = {"provenance": provenance.to_json(), "started": started, "ended": time.time()}
    write_json(stats_path(path), stats | {"model": options.model})
    return comparison(place, part, digest)


def comparison(place: Path, part: str, digest: str) -> str:
    """The main figures of all captioners that were tested on the same examples, as a table.

    Args:
        place: folder of the figures.
        part: of the examples.
        digest: SHA-256 of the file of examples; figures on other examples are left out.
    """
    columns = {
        path.name.removesuffix(f".{part}.json"): figures
        for path in sorted(place.glob(f"*.{part}.json"))
        if (figures := read_json(path)).get("examples") == digest
    }
    names = (*columns, "chance")
    width = max(map(len, names)) + 2
    chance = next(iter(columns.values()))  # depends on the examples alone
    title = f"{part}, n = {chance['n']:.0f}"
    lines = [title.ljust(NAME_WIDTH) + "".join(f"{name:>{width}}" for name in names)]
    for name in PRINTED:
        values = [figures.get(name) for figures in columns.values()]
        values.append(chance.get(f"chance_{name}"))
        lines.append(name.ljust(NAME_WIDTH) + "".join(_cell(value, width) for value in values))
    return "\n".join(lines)


def _cell(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.3f}"
