"""The quality inside a given region."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsfiqa.errors import ImageError, InputError
from rsfiqa.score.inside import GivenBox, GivenMasks, given, read_mask
from rsfiqa.score.scorer import Scorer
from tests.support.scoring import Recorder, rows_of, run


@pytest.fixture(scope="module")
def scorer(checkpoint):
    return Scorer(checkpoint)


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (80, 120, 3)).astype(np.uint8)
    pixels[:, 60:] = 90
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def save(path: Path, pixels) -> Path:
    Image.fromarray(np.asarray(pixels)).save(path)
    return path


def mask_of(box, shape=(80, 120), value=255) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = value
    return mask


def test_the_region_is_one_of_the_label_map(scorer, photo):
    result = scorer.score(photo, box=(20, 10, 70, 60))
    assert result.inside in result.regions
    assert result.inside.box == (20, 10, 70, 60)
    assert result.inside.area == pytest.approx(50 * 50 / (80 * 120))
    number = result.regions.index(result.inside)
    np.testing.assert_array_equal(result.labels == number, mask_of((20, 10, 70, 60)) > 0)
    parts = [region.weight * region.score for region in result.regions]
    assert sum(parts) == pytest.approx(result.score, abs=1e-4)
    whole = scorer.score(photo)
    assert whole.inside is None
    assert len(result.regions) <= len(whole.regions) + 1


def test_box_fractions_and_mask_are_the_same_region(scorer, photo, tmp_path):
    first = scorer.score(photo, box=(30, 20, 90, 60)).inside
    assert scorer.score(photo, box=(0.25, 0.25, 0.75, 0.75)).inside == first
    mask = mask_of((30, 20, 90, 60), value=1)
    assert scorer.score(photo, mask=mask).inside == first
    path = save(tmp_path / "m.png", mask)
    for given_path in (path, str(path)):
        assert scorer.score(photo, mask=given_path).inside == first
    with pytest.raises(ImageError, match=r"the mask gone.png cannot be read \(No such file"):
        scorer.score(photo, mask="gone.png")


def test_the_whole_picture_has_its_own_score(scorer, photo):
    """A model that knows pictures of several regions scored one of a single region far lower."""
    whole, result = scorer.score(photo), scorer.score(photo, box=(0, 0, 1, 1))
    assert (result.score, len(result.regions)) == (whole.score, len(whole.regions))
    found = result.inside
    assert (found.score, found.quality, found.word) == (whole.score, whole.quality, whole.word)
    assert (found.box, found.area, found.weight) == ((0, 0, 120, 80), 1, 1)
    assert found.cost == pytest.approx(sum(region.cost for region in whole.regions))
    assert found.ratings.items() >= whole.ratings.items()
    assert found.text == f"The whole picture: {whole.reason}. Overall {whole.word}."
    assert scorer.score(photo, mask=np.ones((80, 120))).inside == found


@pytest.mark.parametrize(
    ("given_region", "error", "message"),
    [
        ({"box": (0, 0, 500, 20)}, ImageError, r"box 0,0,500,20 must lie in the picture .* 120x80"),
        ({"box": (5, 0, 5, 20)}, InputError, r"^box: must be x0,y0,x1,y1 with .* found 5,0,5,20"),
        (
            {"box": (1, 2, 3)},
            InputError,
            r"^box: must be four numbers x0,y0,x1,y1, found \(1, 2, 3\)",
        ),
        ({"mask": np.ones((3, 3))}, InputError, r"shape of the image, \(80, 120\), found \(3, 3\)"),
        ({"mask": 5}, InputError, r"^mask: must be an array \(H, W\) in the .* found \(\); resize"),
        ({"mask": np.zeros((80, 120))}, InputError, "mask: must have a pixel that is not 0, found"),
        (
            {"mask": np.full((80, 120), np.nan)},
            InputError,
            "mask: must be numbers or bool, fou",
        ),
        ({"mask": np.ones((80, 120)), "box": (0, 0, 1, 1)}, InputError, "found both; leave one"),
    ],
)
def test_what_is_no_region(scorer, photo, given_region, error, message):
    with pytest.raises(error, match=message):
        scorer.score(photo, **given_region)


@pytest.mark.parametrize("value", [1, 255])
def test_masks_of_one_and_of_255(tmp_path, value):
    path = save(tmp_path / "m.png", mask_of((2, 3, 40, 50), value=value))
    np.testing.assert_array_equal(read_mask(path), mask_of((2, 3, 40, 50)) > 0)


def test_masks_with_transparency_palette_and_lossy(tmp_path):
    expected = mask_of((16, 16, 64, 48)) > 0
    rgba = np.dstack([np.full((80, 120, 3), 200, np.uint8), mask_of((16, 16, 64, 48))])
    np.testing.assert_array_equal(read_mask(save(tmp_path / "a.png", rgba)), expected)
    index = Image.fromarray(mask_of((16, 16, 64, 48), value=3)).convert("P")
    index.putpalette([0, 0, 0, 9, 9, 9, 99, 9, 9, 10, 10, 10])
    index.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "p.png"), expected)
    Image.fromarray(mask_of((16, 16, 64, 48))).save(tmp_path / "j.jpg", quality=60)
    np.testing.assert_array_equal(read_mask(tmp_path / "j.jpg"), expected)


def test_a_mask_that_changed_is_read_again(tmp_path):
    path = save(tmp_path / "m.png", mask_of((0, 0, 10, 10)))
    assert read_mask(path).sum() == 100
    save(path, mask_of((0, 0, 40, 40)))
    assert read_mask(path).sum() == 1600


def test_a_folder_of_masks(tmp_path):
    (tmp_path / "m/b").mkdir(parents=True)
    save(tmp_path / "m/x.png", mask_of((0, 0, 10, 10)))
    save(tmp_path / "m/b/x.jpg.png", mask_of((0, 0, 20, 20)))
    masks = GivenMasks(tmp_path / "m")
    assert masks.mask("/p/a/x.jpg", (120, 80)).sum() == 100
    assert masks.mask("/p/b/x.jpg", (120, 80)).sum() == 400
    with pytest.raises(
        ImageError, match=r"the mask .*x.png must have the size .* 60x80, fo.* 120x80"
    ):
        masks.mask("/p/a/x.jpg", (60, 80))
    with pytest.raises(ImageError, match="no mask of this name in "):
        masks.mask("/p/y.jpg", (120, 80))


def test_the_table(checkpoint, scorer, photo, tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "m").mkdir()
    for name in "abc":
        (tmp_path / f"p/{name}.png").write_bytes(photo.read_bytes())
    save(tmp_path / "m/a.png", mask_of((0, 0, 30, 30)))
    save(tmp_path / "m/b.png", mask_of((0, 0, 30, 30), shape=(8, 12)))
    masks, output = given(None, tmp_path / "m"), tmp_path / "s.parquet"
    assert not run([tmp_path / "p"], checkpoint, output, inside=masks)
    first, other_size, missing = rows_of(output)
    expected = scorer.score(photo, box=(0, 0, 30, 30)).inside
    assert first["score"] == pytest.approx(expected.score, abs=1e-4)
    assert first["worst_box"] == [0, 0, 30, 30]
    assert first["inside"].startswith("mask ")
    assert "must have the size of the picture, 120x80, found 12x8" in other_size["reason"]
    assert "no mask of this name" in missing["reason"]
    save(tmp_path / "m/b.png", mask_of((0, 0, 30, 30)))
    save(tmp_path / "m/a.png", mask_of((0, 0, 60, 60)))
    save(tmp_path / "m/c.png", mask_of((0, 0, 30, 30)))
    recorder = Recorder(tmp_path / "log")
    assert run([tmp_path / "p"], checkpoint, output, inside=masks, score_one=recorder)
    assert recorder.names == ["a.png", "b.png", "c.png"]
    again = Recorder(tmp_path / "again")
    assert run([tmp_path / "p"], checkpoint, output, inside=masks, score_one=again)
    assert again.names == []


def test_the_row_of_a_box_over_all_is_that_of_the_picture(checkpoint, photo, tmp_path):
    run([photo], checkpoint, tmp_path / "whole.parquet")
    run([photo], checkpoint, tmp_path / "box.parquet", inside=given(".0,0,1.,1", None))
    (whole,), (boxed,) = (rows_of(tmp_path / f"{name}.parquet") for name in ("whole", "box"))
    same = ("score", "quality", "word", "color", "noise", "artifact", "blur")
    for name in same:
        assert boxed[name] == whole[name], name
    assert (boxed["worst_box"], boxed["inside"]) == ([0, 0, 120, 80], "box 0,0,1,1")


def test_a_table_is_of_one_kind(checkpoint, photo, tmp_path):
    output = tmp_path / "s.csv"
    run([photo], checkpoint, output)
    before = output.read_bytes()
    box = GivenBox((0, 0, 20, 20))
    with pytest.raises(InputError, match="hold scores of regions by --box 0,0,20,20, found those "):
        run([photo], checkpoint, output, inside=box)
    assert output.read_bytes() == before
    run([photo], checkpoint, tmp_path / "b.csv", inside=box)
    for other in (None, GivenBox((0, 0, 20, 30)), given(None, photo)):
        with pytest.raises(InputError, match=r"b.csv: must hold scores of "):
            run([photo], checkpoint, tmp_path / "b.csv", inside=other)


def test_options_that_cannot_be(checkpoint, photo, tmp_path):
    message = r"--mask: must be a file or a folder, found none at .*; correct the path"
    with pytest.raises(InputError, match=message):
        given(None, tmp_path / "none")
    with pytest.raises(InputError, match="--box: must be given without --mask, found both"):
        given((0, 0, 1, 1), photo)
    with pytest.raises(InputError, match="--heatmaps: must be left out with --box and --mask"):
        run([photo], checkpoint, inside=GivenBox((0, 0, 1, 1)), heatmaps=tmp_path / "h")
