import numpy as np
import pytest
from PIL import Image
from skimage import data

from benchmarks.curate.best import figures_of
from benchmarks.curate.bursts import BRIGHTNESS, FRAMES, write_burst
from rsfiqa.images.fingerprint import fingerprint
from rsfiqa.images.load import load_rgb


def rows(number, order, groups=None, scores=None):
    """The rows of a burst whose frames stand in this order."""
    return [
        {
            "path": f"/x/{number:03d}-{place}-{name}.jpg",
            "group": (groups or {}).get(name, number),
            "members": len(order),
            "best": place == 0,
            "score": (scores or {}).get(name, 90.0 - place),
        }
        for place, name in enumerate(order)
    ]


def test_figures_of_two_bursts():
    right = ["sharp", "dark", "noise", "motion", "defocus"]
    wrong = ["dark", "sharp", "noise", "motion", "defocus"]
    figures = figures_of(rows(0, right) + rows(1, wrong))
    assert figures["burst_best"] == 0.5
    assert (figures["burst_best_n"], figures["burst_found"]) == (2, 1)
    assert {name: figures[f"burst_{name}_chosen"] for name in FRAMES if name != "sharp"} == {
        "motion": 0,
        "defocus": 0,
        "noise": 0,
        "dark": 1,
    }


def test_a_rule_beyond_the_score_is_told_apart_from_it():
    figures = figures_of(rows(0, list(FRAMES), scores={"dark": 99.0}))
    assert (figures["burst_best"], figures["burst_best_score"]) == (1, 0)


def test_a_sharp_frame_alone_is_not_chosen():
    burst = rows(0, list(FRAMES), groups={"sharp": 7})
    burst[0]["members"] = 1
    figures = figures_of(burst)
    assert (figures["burst_best"], figures["burst_found"]) == (0, 0)


@pytest.fixture(scope="module")
def burst(tmp_path_factory):
    folder = tmp_path_factory.mktemp("burst")
    Image.fromarray(data.astronaut()).save(folder / "a.png")
    write_burst(folder / "a.png", folder / "frames", 3)
    return {path.stem.split("-")[2]: path for path in (folder / "frames").iterdir()}


def test_frames_of_a_burst(burst):
    assert set(burst) == set(FRAMES)
    dark, sharp = (load_rgb(burst[name]).mean() for name in ("dark", "sharp"))
    assert dark == pytest.approx(BRIGHTNESS * sharp, rel=0.1)  # they are cut on their own
    times = sorted(fingerprint(str(path))["taken"] for path in burst.values())
    assert times[0] == "2024-05-01T12:30:00"
    assert times[1] == "2024-05-01T12:30:00.180000"
    assert all(min(load_rgb(path).shape[:2]) >= np.floor(0.93 * 512) for path in burst.values())
