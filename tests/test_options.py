"""Which options shape a product, and which only say where and how fast a stage runs."""

from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners import CAPTIONERS
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.options import OPERATIONAL, describe, shaping
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.segment.options import SHARED_OPTIONS, SegmentOptions
from rsfiqa.segmenters import SEGMENTERS
from rsfiqa.train.options import FinetuneOptions, TrainOptions


def operational(options: type[BaseModel]) -> set[str]:
    return set(options.model_fields) - shaping(options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (PrepareOptions, {"root"}),
        (
            SegmentOptions,
            {"checkpoint", "device", "compile", "points_per_batch", "images_per_batch", "workers"},
        ),
        (EmbedOptions, {"device", "batch_size"}),
        (ExtractOptions, {"weights", "device", "runtime"}),
        (TrainOptions, {"min_images"}),
        (FinetuneOptions, {"compile", "device", "workers", "threads"}),
    ],
)
def test_options_of_location_and_speed_are_marked(options, expected):
    assert operational(options) == expected


def test_every_other_option_is_recorded_by_some_segmenter_or_captioner():
    by_segmenters = {name for entry in SEGMENTERS.values() for name in entry.shaping_options}
    assert {*SHARED_OPTIONS, *by_segmenters} == shaping(SegmentOptions)
    by_captioners = {name for entry in CAPTIONERS.values() for name in entry.recorded}
    assert {"backend", "long_side", "server", *by_captioners} == shaping(CaptionOptions)


def test_what_is_marked_is_not_recorded():
    tuned = FinetuneOptions(enabled=True, threads=4, workers=2, device="cpu")
    assert (
        TrainOptions(finetune=tuned).recorded()
        == TrainOptions(finetune=FinetuneOptions(enabled=True)).recorded()
    )
    assert TrainOptions(epochs=3).recorded() != TrainOptions().recorded()


def test_the_folder_of_an_encoder_is_recorded_however_it_is_spelt(tmp_path, monkeypatch):
    folder = tmp_path / "encoder"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for spelling in ("~/encoder", "encoder", "./encoder/", str(folder)):
        assert EmbedOptions(encoder=spelling).recorded()["encoder"] == str(folder)
    assert EmbedOptions(encoder="owner/encoder").recorded()["encoder"] == "owner/encoder"


def test_the_mark_changes_neither_type_nor_schema():
    field = EmbedOptions.model_fields["device"]
    assert OPERATIONAL in field.metadata
    assert get_args(field.annotation) == ("auto", "cuda", "cpu")


class Measured(BaseModel):
    """Options of this test."""

    a: tuple[int, int, int]
    b: int = 0
    c: str = ""


@pytest.mark.parametrize(
    ("given", "more"),
    [
        ({"a": [1]}, ""),
        ({"a": [1], "b": "x"}, " (and 1 more)"),
        ({"a": [1], "b": "x", "c": 3}, " (and 2 more)"),
    ],
)
def test_further_findings_beside_a_short_list_are_counted(given, more):
    with pytest.raises(ValidationError) as caught:
        Measured.model_validate(given)
    expected = f"x.yaml: a: must have 3 values, found 1; add the rest{more}"
    assert describe(caught.value, "x.yaml") == expected


def test_a_finding_without_a_key_names_the_source_alone():
    with pytest.raises(ValidationError) as caught:
        Measured.model_validate(3)
    assert describe(caught.value, "x.yaml").startswith("x.yaml: input should be a valid dict")
    assert describe(caught.value, "x.yaml").endswith(", found 3; change it")
