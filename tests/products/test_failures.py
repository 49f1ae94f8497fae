from pathlib import Path

import pytest

from rsfiqa.errors import InputError
from rsfiqa.products import failures

REASONS = {"b.png": "empty file", "a.png": "no such file"}


def test_what_is_read_is_what_was_written_sorted(tmp_path):
    failures.write(tmp_path / "f.parquet", "segment", REASONS)
    assert failures.read(tmp_path / "f.parquet").to_pylist() == [
        {"image": "a.png", "stage": "segment", "reason": "no such file"},
        {"image": "b.png", "stage": "segment", "reason": "empty file"},
    ]


def test_no_failures_are_a_table_too(tmp_path):
    failures.write(tmp_path / "f.parquet", "segment", {})
    assert failures.read(tmp_path / "f.parquet").num_rows == 0


def test_the_same_bytes_in_any_order(tmp_path):
    failures.write(tmp_path / "f.parquet", "segment", REASONS)
    failures.write(tmp_path / "g.parquet", "segment", dict(reversed(REASONS.items())))
    assert (tmp_path / "f.parquet").read_bytes() == (tmp_path / "g.parquet").read_bytes()


@pytest.mark.parametrize(
    ("reasons", "total", "allowed"),
    [
        ({}, 0, 0),
        ({}, 10, 0),
        (REASONS, 10, 0.2),
        (REASONS, 2, 1),
        ({f"{i}.png": "empty file" for i in range(29)}, 100, 0.29),
    ],
)
def test_a_fraction_that_is_allowed(reasons, total, allowed):
    failures.check_failed_fraction(Path("shard"), reasons, total, allowed)


@pytest.mark.parametrize(("total", "allowed"), [(10, 0.19), (10, 0), (2, 0.99)])
def test_a_fraction_that_is_too_large(total, allowed):
    message = (
        rf"shard: the fraction of failed images must not exceed {allowed:g}"
        rf" \(max_failed_fraction\), found 2 of {total} \(a.png: no such file; b.png: empty file\);"
        " repair or remove them, or raise the fraction"
    )
    with pytest.raises(InputError, match=message):
        failures.check_failed_fraction(Path("shard"), REASONS, total, allowed)
