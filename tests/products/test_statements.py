import pyarrow as pa
import pytest

from rsfiqa.errors import InputError
from rsfiqa.products import statements
from rsfiqa.products.statements import Statement, box_of, parse_statement
from rsfiqa.vocabulary import FAMILIES, REALISTIC_FAMILIES, SEVERITIES

SAID = {
    "b.jpg": [Statement("defocus", 5, "center"), Statement("underexposure", 1, "entire image")],
    "a.jpg": [Statement("motion_blur", 3, "top")],
    "c.jpg": [],
}


@pytest.fixture
def write(tmp_path, provenance):
    """A function that writes a table of statements; returns its path."""

    def to_file(table, **changes):
        made = provenance("statements", **changes)
        statements.write(tmp_path / "statements.parquet", table, made)
        return tmp_path / "statements.parquet"

    return to_file


def test_what_is_read_is_what_was_written_by_image(write):
    table, _ = statements.read(write(statements.to_table(SAID)))
    assert table["image_id"].to_pylist() == ["a.jpg", "b.jpg", "b.jpg"]
    assert statements.by_image(table) == {"a.jpg": SAID["a.jpg"], "b.jpg": SAID["b.jpg"]}


def test_no_statements_are_a_table_too(write):
    assert statements.read(write(statements.to_table({})))[0].num_rows == 0


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("factor", "blurry", "factor must be one of defocus, .*, found blurry; run the prepare"),
        ("severity", 6, "severity must be one of 1, 2, 3, 4, 5, found 6; run the prepare stage"),
        ("severity", None, "severity must be one of 1, 2, 3, 4, 5, found None; run the prepare"),
        ("position", "middle", "position must be one of entire image, .*, found middle; run the"),
        ("image_id", None, "image_id must be a text, found none in row 0; run the prepare stage"),
    ],
)
def test_unknown_words_are_refused_in_one_line(write, column, value, message):
    row = {"image_id": "a.jpg", "factor": "defocus", "severity": 1, "position": "top"}
    table = pa.Table.from_pylist([row | {column: value}], schema=statements.SCHEMA)
    with pytest.raises(InputError, match=rf"statements.parquet: {message}") as caught:
        statements.read(write(table))
    assert "\n" not in str(caught.value)


def test_another_schema_is_refused(write):
    path = write(statements.to_table(SAID), schema=2)
    with pytest.raises(InputError, match="expected statements of schema 1, found statements of"):
        statements.read(path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no such file; run the stage that writes it first"):
        statements.read(tmp_path / "statements.parquet")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("out of focus", "mild", "entire image"), ("defocus", 1, "entire image")),
        (("motion blur", "medium", "center"), ("motion_blur", 3, "center")),
        (("noise and artifact", "strong", "center top"), ("noise_or_artifact", 5, "center top")),
        (("Motion_Blur", " Strong", "Left  Top"), ("motion_blur", 5, "top left")),
        (("overexposure", "4", "top center"), ("overexposure", 4, "center top")),
    ],
)
def test_words_of_people(words, expected):
    assert parse_statement(*words, "line 3") == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("haze", "mild", "top"), "line 3: factor must be one of defocus, motion blur, .* 'haze'"),
        (
            ("", "mild", "top"),
            "line 3: factor must be one of .*, found ''; correct it, or download",
        ),
        (("defocus", "0", "top"), "line 3: magnitude must be one of mild, .* 5, found '0'"),
        (
            ("defocus", "mild", "top bottom"),
            "line 3: position must be one of .*, found 'top bottom'",
        ),
    ],
)
def test_unknown_words_of_people_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        parse_statement(*words, "line 3")


def test_factors_mean_families_that_exist():
    meant = {family for families in statements.FACTORS.values() for family in families}
    assert meant <= set(FAMILIES) | set(REALISTIC_FAMILIES)
    assert set(statements.SYNONYMS.values()) <= set(statements.FACTORS)


def test_magnitudes_are_severities_in_order():
    severities = list(statements.MAGNITUDES.values())
    assert severities == sorted(severities)
    assert set(severities) <= set(SEVERITIES)


@pytest.mark.parametrize(
    ("position", "box"),
    [
        ("entire image", (0, 0, 1, 1)),
        ("left", (0, 0, 1 / 3, 1)),
        ("bottom", (0, 2 / 3, 1, 1)),
        ("center", (1 / 3, 1 / 3, 2 / 3, 2 / 3)),
        ("center top", (1 / 3, 0, 2 / 3, 1 / 3)),
        ("center right", (2 / 3, 1 / 3, 1, 2 / 3)),
        ("bottom left", (0, 2 / 3, 1 / 3, 1)),
    ],
)
def test_the_box_of_a_position(position, box):
    assert box_of(position) == pytest.approx(box)


def test_the_ninths_cover_the_image_and_the_bands_a_third_each():
    areas = {}
    for name in statements.POSITIONS:
        left, top, right, bottom = box_of(name)
        areas[name] = (right - left) * (bottom - top)
    ninths = [area for area in areas.values() if area == pytest.approx(1 / 9)]
    bands = [area for area in areas.values() if area == pytest.approx(1 / 3)]
    assert (len(ninths), len(bands), len(areas)) == (9, 4, 14)
