"""How well a captioner names distortions, their level and the ratings on sources it never saw."""

import json
import logging
import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.rule_based import captioner as rule_based
from rsfiqa.captioners.vlm import prompt, server
from rsfiqa.captioners.vlm.answer import MOST_DISTORTIONS, Answer, AnswerError, read_answers
from rsfiqa.captioners.vlm.cache import ResponseCache, key_of
from rsfiqa.captioners.vlm.captioner import Request, VLMCaptioner, check, question_about
from rsfiqa.io.atomic import write_bytes
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import read_json, write_json
from rsfiqa.metrics import compute_metrics
from rsfiqa.teach import examples
from rsfiqa.teach.examples import Example
from rsfiqa.teach.ratings import TABLE
from rsfiqa.vocabulary import FAMILIES, ITU_LEVELS, RATINGS

log = logging.getLogger("rsfiqa")
NONE = "none"  # beside the families
INVALID = -9  # the level of an answer that is none
SEVERITIES = (1, 2, 3, 4, 5)
RESAMPLES = 10_000
AT_ONCE = 200  # questions in memory, of half a megabyte each
SHOWN = (
    *(
        "valid_fraction",
        "family_accuracy",
        "severity_accuracy",
        "severity_within_one",
        "both_accuracy",
    ),
    *(
        "severity_srcc",
        *(f"{rating}_{what}" for rating in RATINGS for what in ("accuracy", "srcc")),
    ),
)


def run(folder: Path, part: str, options: CaptionOptions, *, name: str) -> str:
    """Test a captioner; the figures of all that were tested, side by side, as text.

    Writes FOLDER/tests/NAME.PART.json and the answers beside it; of a model also what was asked
    already, and its server's log.

    Args:
        folder: of the examples.
        part: of them.
        options: the captioner. A model has one attempt at each answer.
        name: what the captioner is called beside others.

    Raises:
        InputError: no examples, or damaged ones; servers that cannot be used.
    """
    asked = examples.read(folder / f"{part}.jsonl")
    place = folder / "tests"
    if options.backend == "vllm":
        texts = answers_of_model(folder, asked, options, place, name)
    else:
        found = answer_by_measures(folder, asked)
        texts = list(tqdm(found, "teach test", len(asked), disable=None))
    lines = [
        json.dumps({"id": example.id, "answer": text}, ensure_ascii=False)
        for example, text in zip(asked, texts, strict=True)
    ]
    answers = f"{chr(10).join(lines)}\n".encode()
    write_bytes(place / f"{name}.{part}.jsonl", answers)
    digest = sha256_of(folder / f"{part}.jsonl")
    write_json(place / f"{name}.{part}.json", {"examples": digest} | figures(asked, texts))
    return side_by_side(place, part, digest)


def answer_by_measures(folder: Path, asked: Sequence[Example]) -> Iterator[str]:
    """Answers of the measured captioner, in the schema of a model's."""
    cv2.setNumThreads(1)
    for example in asked:
        image, labels = examples.read_picture(folder, example)
        # a picture that was reduced may have lost the smallest regions
        left, numbered = np.unique(labels, return_inverse=True)
        rows = rule_based.caption(image, numbered.reshape(labels.shape).astype(labels.dtype))
        row = rows[int(np.searchsorted(left, example.region))]
        words = {name: ITU_LEVELS[row[name] - 1] for name in RATINGS}
        worst = row["distortions"][:MOST_DISTORTIONS]
        yield Answer(content=row["content"], distortions=worst, **words).model_dump_json()


def answers_of_model(
    folder: Path, asked: Sequence[Example], options: CaptionOptions, place: Path, name: str
) -> list[str]:
    """Answers of a model behind a server, asked as the caption stage asks.

    They are kept in PLACE/NAME.answers.sqlite as they come, and not asked for again.
    """
    check(options)
    options = options.model_copy(update={"attempts": 1})
    digests = {} if options.endpoints else server.digests(options.server)
    model = {"model": options.model, "files": digests, "options": options.recorded()}
    keys = [_key(folder, example, model) for example in asked]
    store = ResponseCache(place / f"{name}.answers.sqlite")
    try:
        known = store.get(keys)
        missing = [pair for pair in zip(keys, asked, strict=True) if pair[0] not in known]
        with (
            VLMCaptioner(options, digests, place / f"{name}.server.log") as captioner,
            tqdm(total=len(missing), desc="teach test", disable=None) as bar,
        ):
            for start in range(0, len(missing), AT_ONCE):
                part = missing[start : start + AT_ONCE]
                store.put(captioner.ask([_question(folder, *pair, options) for pair in part]))
                bar.update(len(part))
        known = store.get(keys)
    finally:
        store.close()
    return [known[key].raw for key in keys]


def _key(folder: Path, example: Example, model: Mapping[str, Any]) -> str:
    """Of what an answer depends on."""
    pictures = [sha256_of(folder / path) for path in example.images]
    return key_of(**model, prompt=prompt.VERSION, example=example.id, pictures=pictures)


def _question(folder: Path, key: str, example: Example, options: CaptionOptions) -> Request:
    whole, cut = (prompt.data_uri((folder / path).read_bytes()) for path in example.images)
    return question_about(key, whole, cut, options)


def figures(asked: Sequence[Example], texts: Sequence[str]) -> dict[str, float]:
    """Shares in [0, 1] and rank correlations, by name.

    valid_fraction: answers of the schema; others count as wrong throughout.
    family_accuracy: the worst distortion that is named is one of the region's, or none is named
        where there is none; and by family, family_accuracy_<family>.
    severity_accuracy, severity_within_one: severity of the worst distortion that is named,
        whatever its family, 0 where none is; over the regions that have a distortion.
    both_accuracy: family and level are right; over the same regions.
    <rating>_accuracy: the word; <rating>_srcc: Spearman's correlation of 5 less the rating with
        the level, over the regions without distortion and those whose distortion harms the rating.
    ..._low, ..._high: of the first three shares, 95 % bootstrap intervals that resample the
        photographs.
    chance_...: what the best answer that is always the same reaches.
    n: examples.

    A figure over no examples, or the correlation of a constant, is left out.
    """
    found, wanted = [_read(text) for text in texts], [example.wanted for example in asked]
    valid = np.array([answer is not None for answer in found])
    severity, told = (np.array([_worst(answer)[1] for answer in each]) for each in (wanted, found))
    family = np.array([_worst(answer)[0] for answer in wanted])
    right = np.array([_is_right(one, answer) for one, answer in zip(asked, found, strict=True)])
    distorted = severity > 0
    near = np.abs(severity - told)[distorted]
    result = {
        "n": len(asked),
        "valid_fraction": valid.mean(),
        "family_accuracy": right.mean(),
        "severity_accuracy": _mean(near == 0),
        "severity_within_one": _mean(near <= 1),
        "both_accuracy": _mean(right[distorted] & (near == 0)),
        "severity_srcc": _srcc(told[valid], severity[valid]),
        "chance_family_accuracy": _mean(family == _commonest(family)),
        "chance_severity_accuracy": max(_mean(severity[distorted] == c) for c in SEVERITIES),
        "chance_severity_within_one": max(
            _mean(np.abs(severity[distorted] - c) <= 1) for c in SEVERITIES
        ),
    }
    sources = np.array([example.source for example in asked])
    for name, hits, of in (
        ("family_accuracy", right, sources),
        ("severity_accuracy", near == 0, sources[distorted]),
        ("severity_within_one", near <= 1, sources[distorted]),
    ):
        result[f"{name}_low"], result[f"{name}_high"] = _interval(hits, of)
    for name in (*FAMILIES, NONE):
        result[f"family_accuracy_{name}"] = _mean(right[family == name])
    for rating in RATINGS:
        result |= _rating(rating, asked, found, severity)
    return {name: float(value) for name, value in result.items() if not math.isnan(value)}


def _rating(
    rating: str, asked: Sequence[Example], found: Sequence[Answer | None], severity: np.ndarray
) -> dict[str, float]:
    """Accuracy of one rating's word, by chance too, and its correlation with the level."""
    wanted = np.array([_number(example.wanted, rating) for example in asked])
    given = np.array([_number(answer, rating) for answer in found])
    harmed = np.array(
        [all(rating in TABLE[one.family] for one in example.distortions) for example in asked]
    )
    seen = harmed & (given > 0)
    return {
        f"{rating}_accuracy": _mean(wanted == given),
        f"chance_{rating}_accuracy": _mean(wanted == _commonest(wanted)),
        f"{rating}_srcc": _srcc(-given[seen], severity[seen]),
    }


def _read(text: str) -> Answer | None:
    try:
        (found,) = read_answers(text, None)
    except AnswerError:
        return None
    return found


def _worst(answer: Answer | None) -> tuple[str, int]:
    """Family and severity of the worst distortion, the first of equals."""
    if answer is None:
        return "", INVALID
    if not answer.distortions:
        return NONE, 0
    worst = max(answer.distortions, key=lambda one: one.severity)
    return worst.family, worst.severity


def _is_right(example: Example, answer: Answer | None) -> bool:
    known = {one.family for one in example.distortions} or {NONE}
    return _worst(answer)[0] in known


def _number(answer: Answer | None, rating: str) -> int:
    """1 (bad) to 5 (excellent), 0 for an invalid answer."""
    return 0 if answer is None else ITU_LEVELS.index(getattr(answer, rating)) + 1


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _interval(hits: np.ndarray, sources: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a share of hits bool (n,) when the photographs are drawn anew."""
    if not len(hits):
        return float("nan"), float("nan")
    names, place = np.unique(sources, return_inverse=True)
    right, count = np.bincount(place, hits), np.bincount(place)
    draws = np.random.default_rng(0).integers(0, len(names), (RESAMPLES, len(names)))
    low, high = np.quantile(right[draws].sum(1) / count[draws].sum(1), [0.025, 0.975])
    return float(low), float(high)


def _commonest(values: np.ndarray) -> Hashable:
    return Counter(values.tolist()).most_common(1)[0][0]


def _srcc(told: np.ndarray, severity: np.ndarray) -> float:
    return compute_metrics(told, severity).srcc if len(severity) > 1 else float("nan")


def side_by_side(place: Path, part: str, digest: str) -> str:
    """The main figures of all captioners that were tested on these examples, one column each."""
    columns = {
        path.name.removesuffix(f".{part}.json"): found
        for path in sorted(place.glob(f"*.{part}.json"))
        if (found := read_json(path)).get("examples") == digest
    }
    width = max(len(name) for name in (*columns, "chance")) + 2
    any_one = next(iter(columns.values()))
    heads = "".join(f"{name:>{width}}" for name in (*columns, "chance"))
    lines = [f"{part}, n = {any_one['n']:.0f}".ljust(24) + heads]
    for name in SHOWN:
        values = [figures.get(name, float("nan")) for figures in columns.values()]
        values.append(any_one.get(f"chance_{name}", float("nan")))
        shown = "".join(f"{value:{width}.3f}" for value in values).replace("nan", "  -")
        lines.append(f"{name:<24}{shown}")
    return "\n".join(lines)
