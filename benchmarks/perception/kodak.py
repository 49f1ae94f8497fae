"""The 520 test examples of bench-teach: single textbook distortions of a region of a photograph.

The classifier captions the regions. It names families as people see them in photographs, which are
mapped to those of textbooks; three have no counterpart there and take the nearest.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.figures import RELEASES, run
from benchmarks.perception.measures import to_textbook
from benchmarks.perception.models import Models
from benchmarks.perception.photographs import Bench
from rsfiqa.captioners.vlm.answer import MOST_DISTORTIONS, Answer, Distortion
from rsfiqa.teach import examples
from rsfiqa.teach.examples import Example
from rsfiqa.teach.figures import figures_of
from rsfiqa.vocabulary import ITU_LEVELS, RATINGS

TEXTBOOK = {
    "defocus": "blur",
    "motion_blur": "blur",
    "low_resolution": "pixelation",
    "banding": "quantization",
    "haze": "contrast_low",
    "color_cast": "saturation_high",
    "watermark": "compression",
}
FIGURES = {
    "kodak_family": "family_accuracy",
    "kodak_level": "severity_accuracy",
    "kodak_within_one": "severity_within_one",
}


@dataclass(frozen=True)
class TestExample:
    """A test example and the folder of its images."""

    folder: Path
    example: Example


def answer(models: Models, test: TestExample) -> str:
    """The captioner's answer, in the schema of bench-teach."""
    image, labels = examples.read_image(test.folder, test.example)
    numbers, dense = np.unique(labels, return_inverse=True)
    dense = dense.reshape(labels.shape).astype(labels.dtype)
    rows = models.captioner.caption(image, dense)
    row = rows[int(np.searchsorted(numbers, test.example.region))]
    named = to_textbook([(one["family"], one["severity"]) for one in row.distortions], TEXTBOOK)
    distortions = [Distortion(family=name, severity=severity) for name, severity in named]
    levels = {name: ITU_LEVELS[(row.ratings[name] or 1) - 1] for name in RATINGS}
    reply = Answer(content=row.content, distortions=distortions[:MOST_DISTORTIONS], **levels)
    return reply.model_dump_json()


def measure(bench: Bench) -> dict[str, float]:
    """Family, severity and severity within one, over all test examples."""
    folder = make_examples(bench)
    tests = bench.take(examples.read(folder / "test.jsonl"))
    items = [TestExample(folder, example) for example in tests]
    found = figures_of(tests, bench.processes.map(answer, items, "kodak"))
    figures: dict[str, float] = {
        name + suffix: found[source + suffix]
        for name, source in FIGURES.items()
        for suffix in ("", "_low", "_high")
        if source + suffix in found
    }
    distorted = sum(bool(example.distortions) for example in tests)
    figures |= {f"{name}_n": distorted for name in FIGURES}
    return figures | {"kodak_family_n": len(tests)}


def make_examples(bench: Bench) -> Path:
    """Make the test examples as bench-teach does; the folder that holds them."""
    folder, root = bench.folder / "examples", bench.data / RELEASES["kodak"]
    rsfiqa = (sys.executable, "-m", "rsfiqa")
    run(*rsfiqa, "prepare", folder / "kodak", "--layout", "kodak", "--root", root)
    run(*rsfiqa, "segment", folder / "kodak")
    run(*rsfiqa, "teach", "data", folder / "examples", "--source", folder / "kodak", "--part=test")
    return folder / "examples"
