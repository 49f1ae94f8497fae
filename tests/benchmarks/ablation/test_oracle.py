import numpy as np
import pyarrow as pa
import pytest

from benchmarks.ablation.oracle import caption_rows, read_statements, shuffle, stated_regions
from benchmarks.ablation.products import check_groups
from rsfiqa.errors import InputError
from rsfiqa.io.provenance import Provenance
from rsfiqa.products import manifest, statements
from rsfiqa.products.paths import manifest_path, statements_path
from rsfiqa.products.statements import Statement
from rsfiqa.runtime.shards import images_digest
from tests.support.pipeline import made

# left two thirds, right third
LABELS = np.repeat(np.where(np.arange(9) < 6, 0, 1)[None], 9, 0)


@pytest.mark.parametrize(
    ("position", "regions"),
    [
        ("entire image", [0, 1]),
        ("right", [1]),
        ("left", [0]),  # half of region 0
        ("center", [0]),  # a sixth of region 0: the largest in it
        ("top right", [1]),
    ],
)
def test_the_regions_that_a_position_means(position, regions):
    assert stated_regions(LABELS, position) == regions


def test_a_region_has_what_is_stated_of_it():
    said = [
        Statement("noise_or_artifact", 1, "right"),
        Statement("defocus", 5, "right"),
        Statement("defocus", 3, "entire image"),
    ]
    left, right = caption_rows(["dark red area, left, 60 %", "grey area, right"], LABELS, said)
    assert right.distortions == [
        {"family": "defocus", "severity": 5},
        {"family": "noise", "severity": 1},
    ]
    expected = {"color": 5, "noise": 4.2, "artifact": 4.2, "blur": 1, "overall": 1}
    assert right.expectations == pytest.approx(expected)
    assert right.ratings == {"color": 5, "noise": 4, "artifact": 4, "blur": 1, "overall": 1}
    assert right.text == "A grey area with extreme defocus blur and faint noise. Overall bad."
    assert left.content == "dark red area, left, 60 %"
    assert left.text == "A dark red area with clear defocus blur. Overall fair."


def test_nothing_stated_is_excellent():
    row = caption_rows(["grey area, center"], np.zeros((3, 3), int), [])[0]
    assert set(row.ratings.values()) == {5}
    assert row.text == "A grey area with no distortion. Overall excellent."


def test_shuffled_statements_are_of_another_image():
    said = {name: [Statement("defocus", i, "left")] for i, name in enumerate("abcd", 1)}
    found = shuffle(said, "abcd")
    assert sorted(one[0].severity for one in found.values()) == [1, 2, 3, 4]
    assert all(found[name] != said[name] for name in "abcd")


@pytest.fixture
def stated(tmp_path_factory, tmp_path):
    """A manifest, and a function that writes statements about an image beside it."""
    table, provenance = manifest.read(manifest_path(made(tmp_path_factory) / "tiny"))
    manifest.write(manifest_path(tmp_path), table, provenance)

    def write(image_id, digest):
        said = statements.to_table({image_id: [Statement("defocus", 3, "left")]})
        made_by = Provenance("statements", statements.VERSION, "prepare", 1, {}, inputs=digest)
        statements.write(statements_path(tmp_path), said, made_by)

    return tmp_path, table, write


def test_statements_about_the_images_of_the_set(stated):
    folder, table, write = stated
    write("00.png", {"manifest": images_digest(table)})
    assert read_statements(folder) == {"00.png": [Statement("defocus", 3, "left")]}


def test_statements_about_other_images(stated):
    folder, table, write = stated
    write("elsewhere.png", {"manifest": images_digest(table)})
    with pytest.raises(InputError, match=r"found 1 others, such as elsewhere\.png; prepare"):
        read_statements(folder)
    write("00.png", {"manifest": images_digest(table.slice(1))})
    with pytest.raises(InputError, match="found another manifest's; prepare"):
        read_statements(folder)


def test_a_set_without_statements(stated):
    folder, _, _ = stated
    with pytest.raises(InputError, match=r"statements\.parquet: no such file"):
        read_statements(folder)


def test_a_set_without_groups_of_near_duplicates(stated):
    folder, table, _ = stated
    with pytest.raises(InputError, match=r"near_duplicates must be join.*found keep"):
        check_groups(folder)
    joined = Provenance("manifest", manifest.VERSION, "prepare", 1, {"near_duplicates": "join"})
    manifest.write(manifest_path(folder), pa.table(table), joined)
    check_groups(folder)
