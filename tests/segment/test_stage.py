"""The whole stage on pictures that have gone wrong in every way, with both backends."""

import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import failures, regions
from rsfiqa.products.paths import failures_path, product_path, stats_path
from rsfiqa.segment import stage as segment
from rsfiqa.segment.options import SegmentOptions

LONG = "x" * 246 + ".png"  # 250 characters
OUTCOMES = {  # label map's height and width, or the reason of the failure
    "1x1.png": (1, 1),
    "20000x8.png": (1, 64),
    "16-bit.png": (40, 64),
    "rgba.png": (40, 64),
    "cmyk.jpg": (40, 64),
    "palette.png": (40, 64),
    "animated.gif": (40, 64),
    "Zürich 東京.png": (40, 64),
    LONG: (40, 64),
    **{f"exif{i}.jpg": (40, 64) if i < 5 else (64, 40) for i in range(1, 9)},
    "cut.jpg": "damaged or cut short",
    "bomb.png": "more than 178 megapixels",
    "text.jpg": "not an image of a known format",
}


def scene(width: int = 128, height: int = 80) -> Image.Image:
    """A bright half and a dark one."""
    pixels = np.random.default_rng(0).integers(0, 60, (height, width, 3)).astype(np.uint8)
    pixels[:, : width // 2] += 180
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A data set's folder with the manifest of a folder of such pictures."""
    root = tmp_path_factory.mktemp("hostile")
    Image.new("RGB", (1, 1), "red").save(root / "1x1.png")
    scene(20000, 8).save(root / "20000x8.png")
    grey = np.asarray(scene().convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey).save(root / "16-bit.png")
    clear = scene().convert("RGBA")
    clear.putalpha(Image.new("L", clear.size, 100))
    clear.save(root / "rgba.png")
    scene().convert("CMYK").save(root / "cmyk.jpg")
    scene().quantize(16).save(root / "palette.png")
    scene().save(root / "animated.gif", save_all=True, append_images=[Image.new("RGB", (128, 80))])
    for name in ("Zürich 東京.png", LONG):
        scene().save(root / name)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        scene().save(root / f"exif{orientation}.jpg", exif=exif)
    scene().save(root / "cut.jpg")
    content = (root / "cut.jpg").read_bytes()
    (root / "cut.jpg").write_bytes(content[: len(content) // 2])
    bomb = b"\x89PNG\r\n\x1a\n"
    for chunk in (b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0), b"IDAT"):
        bomb += struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (root / "bomb.png").write_bytes(bomb)
    (root / "text.jpg").write_text("no picture", "utf-8")
    folder = tmp_path_factory.mktemp("results") / "hostile"
    options = PrepareOptions(layout="folder", root=str(root))
    prepare.run(folder, options, shard_size=100, max_failed_fraction=0.5, seed=0)
    return folder


def outcomes(folder) -> dict[str, object]:
    """What became of each picture."""
    reader = regions.Reader(product_path(folder, "segment", "00000"))
    result: dict[str, object] = {name: reader[name].labels.shape for name in reader.image_ids}
    paths = (folder / "manifest.parquet", product_path(folder, "segment", "00000"))
    for path in paths:
        for row in failures.read(failures_path(path)).to_pylist():
            result[row["image"]] = row["reason"]
    return result


def assert_outcomes(folder) -> None:
    result = outcomes(folder)
    assert result.keys() == OUTCOMES.keys()
    for name, expected in OUTCOMES.items():
        if isinstance(expected, str):
            assert result[name].startswith(expected), name
        else:
            assert result[name] == expected, name


def test_every_picture_has_a_stated_outcome(hostile):
    segment.run(hostile, SegmentOptions(long_side=64, max_regions=2), max_failed_fraction=0.5)
    assert_outcomes(hostile)
    reader = regions.Reader(product_path(hostile, "segment", "00000"))
    first = reader["exif1.jpg"].labels
    assert first[0, 0] != first[0, -1]  # bright and dark half
    turned = reader["exif6.jpg"].labels
    assert turned[0, 0] != turned[-1, 0]
    assert turned[0, 0] == turned[0, -1]


@pytest.mark.slow
def test_sam_has_the_same_outcomes(hostile, checkpoint, tmp_path):
    options = SegmentOptions(
        backend="sam",
        checkpoint=str(checkpoint),
        long_side=64,
        points_per_side=1,
        pred_iou_thresh=-9.0,
        stability_score_thresh=0.0,
        workers=1,
        device="cpu",
    )
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in ("manifest.parquet", "manifest.failures.parquet"):
        (folder / name).write_bytes((hostile / name).read_bytes())
    segment.run(folder, options, max_failed_fraction=0.5)
    assert_outcomes(folder)
    path = product_path(folder, "segment", "00000")
    made = regions.Reader(path).provenance
    assert made.models == {"small.pth": sha256_of(checkpoint)}
    assert made.options == options.recorded()
    assert made.options["stability_score_offset"] == 1.0
    counts = json.loads(stats_path(path).read_text("utf-8"))
    assert (counts["out_of_memory"], counts["images_per_batch"]) == (0, 1)
    before = path.stat().st_mtime_ns
    faster = options.model_copy(update={"workers": 0, "images_per_batch": 1})
    segment.run(folder, faster, max_failed_fraction=0.5)  # nothing that shapes the regions
    assert path.stat().st_mtime_ns == before


def test_a_share_of_failures_fails_the_shard(hostile):
    with pytest.raises(InputError, match=r"must not exceed 0.01 .*found 1 of 18 \(cut.jpg: damag"):
        segment.run(hostile, SegmentOptions(long_side=32), max_failed_fraction=0.01)


def test_a_missing_checkpoint_fails_first(hostile):
    options = SegmentOptions(backend="sam", checkpoint="/nowhere/sam.pth")
    with pytest.raises(InputError, match=r"must be a file, found none at /nowhere/sam.pth; get on"):
        segment.run(hostile, options, max_failed_fraction=0.5)


def test_recorded_options_are_those_that_shape_the_regions():
    fast = SegmentOptions(backend="sam", checkpoint="a", device="cpu", workers=9, compile=True)
    slow = SegmentOptions(backend="sam", checkpoint="b", images_per_batch=1, points_per_batch=8)
    assert fast.recorded() == slow.recorded()
    assert fast.recorded() != SegmentOptions(backend="sam", points_per_side=16).recorded()
    plain = SegmentOptions(checkpoint="a", points_per_side=16).recorded()
    assert plain == SegmentOptions().recorded()
