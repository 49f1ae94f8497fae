import multiprocessing
import os
import pickle

import h5py
import numpy as np
import pytest

from rsfiqa.errors import InputError
from rsfiqa.products import regions
from rsfiqa.products.regions import ImageRegions, Reader

SMALL = np.array([[0, 0, 1], [0, 0, 1]], np.uint16)
TALL = np.array([[0], [0], [0], [1], [2]], np.uint16)


def image(image_id: str, labels: np.ndarray) -> ImageRegions:
    return ImageRegions(image_id, labels, regions.region_table(labels))


@pytest.fixture
def path(tmp_path, provenance):
    path = tmp_path / "00000.h5"
    images = [image("b.png", SMALL), image("\u00e4/a.png", SMALL[:1, :1]), image("a.png", TALL)]
    regions.write(path, images, provenance("regions", options={"x": 1}))
    return path


def test_table_by_hand():
    table = regions.region_table(SMALL, stability=np.array([0.5, 1]))
    assert table["area"].tolist() == [4, 2]
    assert table["box"].tolist() == [[0, 0, 2, 2], [2, 0, 3, 2]]
    assert table["centroid"].tolist() == [[0.5, 0.5], [2, 0.5]]
    assert table["stability"].tolist() == [0.5, 1]
    assert np.isnan(table["predicted_iou"]).all()


def test_a_region_in_two_pieces():
    table = regions.region_table(np.array([[1, 0, 0, 0, 1]], np.uint16))
    assert table["box"].tolist() == [[1, 0, 4, 1], [0, 0, 5, 1]]
    assert table["centroid"].tolist() == [[2, 0], [2, 0]]


def test_what_is_read_is_what_was_written_sorted(path, provenance):
    reader = Reader(path)
    assert reader.image_ids == ["a.png", "b.png", "\u00e4/a.png"]
    assert reader.provenance == provenance("regions", options={"x": 1})
    for image_id, labels in (("a.png", TALL), ("b.png", SMALL), ("\u00e4/a.png", SMALL[:1, :1])):
        result = reader[image_id]
        np.testing.assert_array_equal(result.labels, labels, strict=True)
        assert result.table.tobytes() == regions.region_table(labels).tobytes()  # NaN too
    assert len(reader) == 3
    assert "b.png" in reader
    assert "c.png" not in reader


def test_no_images(tmp_path, provenance):
    regions.write(tmp_path / "a.h5", [], provenance("regions"))
    assert len(Reader(tmp_path / "a.h5")) == 0


def test_the_same_bytes_in_any_order(tmp_path, provenance):
    images = [image("a.png", SMALL), image("b.png", TALL)]
    regions.write(tmp_path / "a.h5", images, provenance("regions"))
    regions.write(tmp_path / "b.h5", images[::-1], provenance("regions"))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_reader_can_be_pickled_after_use(path):
    reader = Reader(path)
    np.testing.assert_array_equal(reader["a.png"].labels, TALL)
    copy = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(copy["b.png"].labels, SMALL)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_can_read_what_its_parent_has_open(path):
    reader = Reader(path)
    np.testing.assert_array_equal(reader["a.png"].labels, TALL)
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=lambda: there.send(reader["b.png"].labels)
    )
    process.start()
    process.join(60)
    assert here.poll()
    np.testing.assert_array_equal(here.recv(), SMALL)
    np.testing.assert_array_equal(reader["b.png"].labels, SMALL)


def test_a_byte_of_a_label_map_that_flips_later_is_noticed(path, flip):
    reader = Reader(path)
    with h5py.File(path) as file:
        where = file["labels"].id.get_chunk_info(1)
    flip(path, where.byte_offset + where.size // 2)
    np.testing.assert_array_equal(reader["a.png"].labels, TALL)
    with pytest.raises(InputError, match=r"00000.h5: damaged at b.png \(.*\); delete it and run"):
        reader["b.png"]


def test_a_flipped_byte_anywhere_is_noticed(path, flip):
    for offset in range(0, path.stat().st_size, 11):
        flip(path, offset)
        with pytest.raises(
            InputError, match=r"00000.h5: (damaged|not written by|expected)"
        ) as result:
            Reader(path)
        assert "\n" not in str(result.value)
        flip(path, offset)
    Reader(path)


@pytest.mark.parametrize("missing", [1, 40, 46, 47, 1500, 10**6])
def test_a_truncated_file(path, missing):
    os.truncate(path, max(path.stat().st_size - missing, 0))
    with pytest.raises(InputError, match=r"00000.h5: damaged \(.*\); delete it and run again"):
        Reader(path)


def test_another_product(tmp_path, provenance):
    regions.write(tmp_path / "a.h5", [], provenance("pictures"))
    with pytest.raises(InputError, match=r"expected regions of schema 1, found pictures of schema"):
        Reader(tmp_path / "a.h5")


def test_a_file_by_somebody_else(tmp_path):
    h5py.File(tmp_path / "a.h5", "w").close()
    with pytest.raises(InputError, match=r"not written by rsfiqa; delete it and run again"):
        Reader(tmp_path / "a.h5")


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"a.h5: no such file; run the segment stage first"):
        Reader(tmp_path / "a.h5")
