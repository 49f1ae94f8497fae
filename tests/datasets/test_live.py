import numpy as np
import pytest
import scipy.io

from rsfiqa.datasets import live
from rsfiqa.errors import InputError

# place in the MATLAB files, image, distortion, reference, DMOS, deviation; the others are pristine
LISTED = [
    (1, "jp2k/img2.bmp", "jpeg2000", "rapids.bmp", 15.5, 4.0),
    (226, "jp2k/img227.bmp", "jpeg2000", "statue.bmp", 70.25, 5.0),
    (227, "jpeg/img1.bmp", "jpeg", "rapids.bmp", -2.5, 6.0),
    (459, "jpeg/img233.bmp", "jpeg", "statue.bmp", 30.0, 7.0),
    (460, "wn/img1.bmp", "white_noise", "rapids.bmp", 111.75, 8.0),
    (634, "gblur/img1.bmp", "gaussian_blur", "rapids.bmp", 42.0, 9.0),
    (981, "fastfading/img174.bmp", "fast_fading", "statue.bmp", 34.0, 10.0),
]


@pytest.fixture
def root(tmp_path, pictures):
    """A release of 982 images, of which 975 are said to be pristine and are not there."""
    root = tmp_path / "databaserelease2"
    scores, deviations, pristine = np.zeros((1, 982)), np.zeros((1, 982)), np.ones((1, 982))
    references = np.empty((1, 982), object)
    references[:] = "bikes.bmp"
    for place, _, _, reference, dmos, deviation in LISTED:
        scores[0, place], deviations[0, place], pristine[0, place] = dmos, deviation, 0
        references[0, place] = reference
    pictures(root, *(name for _, name, *_ in LISTED))
    content = {"dmos_new": scores, "dmos_std": deviations, "orgs": pristine.astype(np.uint8)}
    scipy.io.savemat(root / "dmos_realigned.mat", content)
    scipy.io.savemat(root / "refnames_all.mat", {"refnames_all": references})
    return root


def test_the_pristine_images_are_left_out(root):
    assert [
        (entry.image_id, entry.distortion, entry.group, entry.mos, entry.mos_std)
        for entry in live.read(root)
    ] == [listed[1:] for listed in LISTED]
    assert all(entry.severity is None and entry.subset is None for entry in live.read(root))


def test_it_takes_the_folder_that_holds_the_release(root):
    assert live.read(root.parent) == live.read(root)


def test_a_low_dmos_is_a_high_quality(root, prepared):
    rows, provenance = prepared("live", root)
    by_quality = sorted(rows.values(), key=lambda row: row["quality"])
    assert by_quality[0]["image_id"] == "wn/img1.bmp"
    assert by_quality[-1]["image_id"] == "jpeg/img1.bmp"
    assert by_quality[-1]["mos"] == -2.5  # as released
    assert rows["wn/img1.bmp"]["quality"] == pytest.approx(0.25 / 115)
    assert rows["wn/img1.bmp"]["group"] == "rapids.bmp"
    assert provenance.options["lower_better"] is True
    assert provenance.options["mos_range"] == [-3, 112]


@pytest.mark.parametrize("name", ["dmos_realigned.mat", "refnames_all.mat"])
def test_a_missing_file_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(InputError, match=f"{name}: no such file; set root to the folder databaser"):
        live.read(root)


def test_the_scores_before_realignment_are_refused(root):
    scipy.io.savemat(root / "dmos_realigned.mat", {"dmos": np.zeros((1, 982))})
    with pytest.raises(
        InputError, match=r"dmos_realigned.mat: must be a MATLAB file with dmos_new"
    ):
        live.read(root)


def test_lengths_must_agree(root):
    scipy.io.savemat(root / "refnames_all.mat", {"refnames_all": np.array(["a"] * 981, object)})
    message = (
        r"orgs and refnames_all must be 982, found 982, 982, 982, 981; download the release again"
    )
    with pytest.raises(InputError, match=message):
        live.read(root)
