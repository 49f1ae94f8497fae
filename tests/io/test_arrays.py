import os

import numpy as np
import pytest
from safetensors.numpy import save_file

from rsfiqa.errors import InputError
from rsfiqa.io import arrays

CONTENT = {
    "half": np.arange(12, dtype=np.float16).reshape(3, 4),
    "none": np.zeros((0, 4), np.int64),
    "turned": np.arange(6, dtype=np.int64).reshape(2, 3).T,
}


@pytest.fixture
def path(tmp_path, provenance):
    path = tmp_path / "a.safetensors"
    arrays.write(path, CONTENT, provenance("things", options={"x": 1}))
    return path


def test_what_is_read_is_what_was_written(path, provenance):
    result, origin = arrays.read(path, "things", 1)
    assert result.keys() == CONTENT.keys()
    for name, array in CONTENT.items():
        np.testing.assert_array_equal(result[name], array, strict=True)
    assert origin == provenance("things", options={"x": 1})


def test_the_same_bytes_in_any_order(path, provenance):
    again = path.with_name("b.safetensors")
    content = dict(reversed(CONTENT.items()))
    arrays.write(again, content, provenance("things", options={"x": 1}))
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("strings", [[], ["a"], ["a b", "\u00e9/\u6f22.png"]])
def test_strings(strings):
    assert arrays.decode_strings(arrays.encode_strings(strings)) == strings


def test_a_flipped_byte_anywhere_is_noticed(path, flip):
    for offset in range(0, path.stat().st_size, 3):
        flip(path, offset)
        with pytest.raises(InputError, match=r"damaged|not written by|expected things"):
            arrays.read(path, "things", 1)
        flip(path, offset)
    arrays.read(path, "things", 1)


@pytest.mark.parametrize("missing", [1, 50, 10_000])
def test_a_truncated_file(path, missing):
    os.truncate(path, max(path.stat().st_size - missing, 0))
    with pytest.raises(InputError, match=r"a.safetensors: damaged \(.*\); delete it and run again"):
        arrays.read(path, "things", 1)


def test_another_product(path):
    with pytest.raises(InputError, match=r"expected others of schema 1, found things of schema 1"):
        arrays.read(path, "others", 1)


def test_a_file_by_somebody_else(tmp_path):
    save_file(CONTENT, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"not written by rsfiqa; delete it and run again"):
        arrays.read(tmp_path / "a.safetensors", "things", 1)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none: no such file; run the stage that writes it first"):
        arrays.read(tmp_path / "none", "things", 1)
