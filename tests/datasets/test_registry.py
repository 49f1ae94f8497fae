"""The registry of layouts: what it holds, and that one entry is all that a layout takes."""

import re
from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError

from rsfiqa.datasets import demo
from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.registry import DATASETS, DatasetSpec
from rsfiqa.errors import InputError
from rsfiqa.options import describe
from rsfiqa.prepare.entries import read_listing
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import manifest
from rsfiqa.scale import MosScale
from tests.support.imports import imported_by

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = {name for name, spec in DATASETS.items() if spec.citation}


def read_toy(root: Path) -> list[Entry]:
    """The pictures of a folder, each with the score that is its file's stem."""
    return [
        Entry(
            image_id=path.name,
            path=path,
            group=path.name,
            location=f"toy {path.name}",
            mos=float(path.stem),
        )
        for path in sorted(root.glob("*.png"))
    ]


@pytest.fixture
def toy(tmp_path):
    """Register the layout `toy`, as DMOS in [0, 10], and write a data set in it."""
    DATASETS.register(
        "toy",
        DatasetSpec(title="Toy", reader=read_toy, scale=MosScale(0.0, 10.0, lower_better=True)),
    )
    for score in (2, 5, 10):
        Image.new("RGB", (12, 8), (score, 0, 0)).save(tmp_path / f"{score}.png")
    yield tmp_path
    DATASETS.remove("toy")


def test_one_entry_adds_a_layout(toy, prepared):
    rows, provenance = prepared("toy", toy)
    assert {name: row["quality"] for name, row in rows.items()} == pytest.approx(
        {"2.png": 0.8, "5.png": 0.5, "10.png": 0}
    )
    assert manifest.scale_of(provenance) == MosScale(0, 10, lower_better=True)
    assert provenance.options["layout"] == "toy"


def test_the_facts_of_an_added_layout_are_used(toy, prepared):
    options = PrepareOptions(layout="toy", root=str(toy))
    assert read_listing(toy / "out", options).shards(2) == ["00000", "00001"]
    with pytest.raises(InputError, match=r"toy: needs root, found none; set it to where"):
        read_listing(toy / "out", PrepareOptions(layout="toy")).shards(2)
    (toy / "11.png").write_bytes((toy / "10.png").read_bytes())
    with pytest.raises(InputError, match=r"toy 11.png: MOS must lie in \[0, 10\], found 11"):
        prepared("toy", toy)


def test_groups_with_the_same_bytes_are_joined_in_an_added_layout(toy, prepared):
    (toy / "9.png").write_bytes((toy / "10.png").read_bytes())
    rows, _ = prepared("toy", toy)
    assert {name: row["group"] for name, row in rows.items()} == {
        "10.png": "10.png",
        "2.png": "2.png",
        "5.png": "5.png",
        "9.png": "10.png",
    }


def test_an_unknown_layout_is_refused_in_one_line():
    with pytest.raises(ValidationError) as caught:
        PrepareOptions(layout="imagenet")
    message = describe(caught.value, "config")
    assert message.startswith("config: layout: ")
    assert f"input should be one of {', '.join(DATASETS)}, found 'imagenet'" in message
    assert "\n" not in message


def test_the_schema_names_the_layouts():
    schema = PrepareOptions.model_json_schema()["properties"]["layout"]
    assert schema["enum"] == list(DATASETS)
    assert all(re.search(rf"\b{name}\b", schema["description"]) for name in DATASETS)


@pytest.mark.parametrize("name", DATASETS)
def test_every_reader_can_be_loaded(name):
    assert callable(DATASETS[name].load_reader())


def test_what_layouts_have_scores():
    assert {name for name, spec in DATASETS.items() if not spec.rated} == {"kodak", "folder"}
    assert [name for name, spec in DATASETS.items() if spec.scale_from_options] == ["csv"]
    assert [name for name, spec in DATASETS.items() if spec.pseudo_mos] == ["demo"]


def test_published_sets_join_duplicates_and_tables_of_users_refuse_them():
    by_rule = {name: spec.duplicates for name, spec in DATASETS.items()}
    assert {by_rule[name] for name in PUBLISHED} == {"join"}
    assert {name for name, rule in by_rule.items() if rule == "refuse"} == {"csv"}
    assert {name for name, rule in by_rule.items() if rule == "keep"} == {"kodak", "folder"}


def test_the_number_of_generated_images():
    expected = len(demo.SOURCES) * (1 + len(demo.FAMILIES) * len(demo.IN_TURN[0]))
    assert DATASETS["demo"].generated == expected
    assert [name for name, spec in DATASETS.items() if not spec.needs_root] == ["demo"]


def test_every_layout_is_in_the_documents_with_its_scale():
    text = (ROOT / "docs/pipeline.md").read_text("utf-8")
    section = text.partition("## Data sets\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| .* \| (.*) \| .* \|$", section, re.MULTILINE)
    scores = dict(row for row in rows if row[0] != "layout")
    assert set(scores) == set(DATASETS)
    for layout, spec in DATASETS.items():
        if spec.scale is not None:
            assert f"{spec.scale.low:g} to {spec.scale.high:g}" in scores[layout]
            assert ("lower is better" in scores[layout]) == spec.scale.lower_better


def test_every_layout_is_in_the_comments_of_the_configuration():
    text = (ROOT / "config.yaml").read_text("utf-8")
    assert all(re.search(rf"^# .*\b{name}\b", text, re.MULTILINE) for name in DATASETS)


def test_it_is_imported_without_numerical_libraries():
    modules = imported_by("rsfiqa.datasets.registry", "rsfiqa.prepare.entries")
    heavy = {"numpy", "scipy", "skimage", "pyarrow", "openpyxl", "cv2", "PIL", "torch"}
    assert modules.isdisjoint(heavy), sorted(modules & heavy)
