"""The registry of captioners: what it holds, and that one entry is all that a captioner takes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from rsfiqa import captioners, checkpoints
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners import CAPTIONERS, CaptionerEntry
from rsfiqa.errors import InputError
from rsfiqa.products import captions
from rsfiqa.products.paths import product_path
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.pipeline import RegionPipeline
from rsfiqa.vocabulary import RATINGS
from tests.support.captioning import SHARD, run_stage
from tests.support.imports import imported_by
from tests.support.pipeline import BROKEN
from tests.support.toy_captioner import TARGET

PACKAGED = Path(__file__).resolve().parents[2] / "rsfiqa/packaged"


@pytest.fixture
def toy():
    """Options of a captioner that is registered for one test."""
    CAPTIONERS.register("toy", CaptionerEntry(target=TARGET))
    yield CaptionOptions(backend="toy")
    CAPTIONERS.remove("toy")


def test_one_entry_adds_a_captioner_to_the_stage(toy, folder):
    rows, stats = run_stage(folder, toy)
    assert len(rows) == stats["regions"] > 12
    assert {row["content"] for row in rows} == {"toy"}
    assert rows[0]["text"] == "Region 0 of 64 x 48 pixels."
    assert rows[0]["distortions"] == [{"family": "blur", "severity": 1}]
    assert all(row[rating] == 4 for row in rows for rating in RATINGS)
    assert BROKEN not in {row["image_id"] for row in rows}
    provenance = captions.read(product_path(folder, "caption", SHARD))[1]
    assert provenance.options == {"backend": "toy", "long_side": 1024}
    assert provenance.models == {}


def test_one_entry_adds_a_captioner_of_single_images(toy, noise, tmp_path):
    labels = np.zeros(noise.shape[:2], np.uint16)
    labels[32:] = 1
    with captioners.load(toy, log=tmp_path / "log") as captioner:
        rows = captioner.caption(noise, labels)
    assert [row.text for row in rows] == [f"Region {i} of 64 x 64 pixels." for i in range(2)]


def test_one_entry_adds_a_captioner_to_the_single_image_pipeline(toy, noise):
    card, _ = checkpoints.read_card(PACKAGED)
    regions = RegionPipeline(replace(card, caption=toy.recorded()), ScoreOptions(device="cpu"))
    captioned = regions.caption_regions(noise)
    assert len(captioned.captions) == captioned.labels.max() + 1
    assert {row.content for row in captioned.captions} == {"toy"}


def test_a_captioner_that_is_not_registered():
    with pytest.raises(ValidationError, match="should be one of classifier, rule_based, vllm"):
        CaptionOptions(backend="toy")


def test_what_is_known_without_loading_a_captioner():
    assert [name for name, entry in CAPTIONERS.items() if entry.uses_server] == ["vllm"]
    assert [name for name, entry in CAPTIONERS.items() if entry.is_language_model] == ["vllm"]
    assert [name for name, entry in CAPTIONERS.items() if entry.needs_torch] == ["classifier"]


def test_the_registry_and_the_options_import_no_captioner():
    heavy = {"torch", "aiohttp", "cv2", "msgspec", "scipy"}
    assert not imported_by("rsfiqa.captioners", "rsfiqa.caption.options") & heavy


def test_options_are_checked_before_a_captioner_is_loaded(tmp_path):
    with pytest.raises(InputError, match=r"caption.model: must be given for the backend vllm"):
        captioners.load(CaptionOptions(backend="vllm"), log=tmp_path / "log")


@pytest.mark.parametrize("name", CAPTIONERS)
def test_recorded_options_are_options(name):
    assert set(CAPTIONERS[name].recorded) <= set(CaptionOptions.model_fields)


def test_a_job_starts_a_server_only_without_endpoints():
    assert not CaptionOptions().starts_server
    assert CaptionOptions(backend="vllm", model="m").starts_server
    url = "http://host/v1"
    assert not CaptionOptions(backend="vllm", model="m", endpoints=(url,)).starts_server


def test_options_of_location_and_speed_are_not_recorded():
    url = "http://host/v1"
    options = CaptionOptions(backend="vllm", model="m", endpoints=(url,), concurrency=3)
    names = {"model", "prompt", "max_pixels", "max_tokens", "temperature", "attempts"}
    assert set(options.recorded()) == {"backend", "long_side"} | names
    own = CaptionOptions(backend="vllm", model="m", server={"weights": str(Path("/m"))})
    assert own.recorded()["server"] == {"dtype": "auto", "arguments": ""}
