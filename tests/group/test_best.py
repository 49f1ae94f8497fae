from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage import data

from rsfiqa.group.best import Member, rank
from rsfiqa.group.reasons import explain
from rsfiqa.group.sources import Scored
from rsfiqa.images.fingerprint import fingerprint
from tests.support.bursts import save

EVEN = {"color": 4.0, "noise": 4.0, "artifact": 4.0, "blur": 4.0, "overall": 4.0}


@pytest.fixture
def member(tmp_path):
    """Makes a member of a group from an image, its score and its ratings."""

    def make(name, image, score=None, **ratings):
        path = save(tmp_path / name, np.asarray(image))
        scored = None if score is None else Scored(score, score, score / 100, EVEN | ratings)
        return Member(name, path, fingerprint(str(path)), scored)

    return make


@pytest.fixture(scope="module")
def photo():
    return Image.fromarray(data.astronaut())


def resized(photo, side):
    return photo.resize((side, side), Image.Resampling.BICUBIC)


def placed(*members, same=None):
    return [
        (place.member.name, place.relation, place.reason)
        for place in explain(rank(members), same or {})
    ]


def test_the_highest_score_is_the_best_and_others_say_why(member, photo):
    found = placed(
        member("a.png", photo, 50.0, blur=1.5),
        member("b.png", photo, 80.0),
        member("c.png", photo, 60.0, noise=2.0, artifact=3.0),
    )
    assert found == [
        ("b.png", "best", "best of 3: highest score"),
        (
            "c.png",
            "similar",
            "quality 20.0 points lower than that of b.png: noisier, more artifacts",
        ),
        ("a.png", "similar", "quality 30.0 points lower than that of b.png: blurrier"),
    ]


def test_a_darker_frame_is_said_to_be_darker(member, photo):
    dark = photo.point(lambda value: value * 0.6)
    found = placed(member("a.png", photo, 80.0), member("b.png", dark, 70.0, color=3.0))
    assert found[1][2] == "quality 10.0 points lower than that of a.png: darker"


def test_color_decides_between_scores_that_are_about_equal(member, photo):
    dark = photo.point(lambda value: value * 0.6)
    found = placed(
        member("a.png", dark, 80.6, color=3.0),
        member("b.png", photo, 80.0, color=4.0),
        member("c.png", photo, 78.0, color=5.0),
    )
    assert [name for name, *_ in found] == ["b.png", "a.png", "c.png"]
    assert found[0][2] == "best of 3: as good as the highest score, with better color"
    assert found[1][2] == "about as good as b.png: darker"


def test_an_enlarged_copy_comes_after_what_it_was_made_of_whatever_its_score(member, photo):
    found = placed(
        member("big.png", resized(photo, 1024), 90.0),
        member("original.png", photo, 70.0),
    )
    assert found == [
        ("original.png", "best", "best of 2: a larger copy shows no more detail"),
        (
            "big.png",
            "enlarged",
            "larger than original.png (1024 x 1024, 512 x 512) but blurrier: no more detail than an"
            " enlargement of it",
        ),
    ]


def test_a_reduced_copy_comes_after_its_original_whatever_its_score(member, photo):
    found = placed(
        member("small.png", resized(photo, 256), 90.0),
        member("original.png", photo, 70.0),
        member("enlarged.png", resized(resized(photo, 256), 400), 95.0),
    )
    assert [(name, relation) for name, relation, _ in found] == [
        ("original.png", "best"),
        ("small.png", "reduced"),
        ("enlarged.png", "enlarged"),
    ]
    assert found[0][2] == "best of 3: most detail"
    assert found[1][2] == "smaller copy of original.png (256 x 256, 512 x 512)"


def test_a_blurred_frame_of_the_size_of_the_best_is_compared_with_the_best(member, photo):
    """Although it shows no more than a small copy does."""
    found = placed(
        member("sharp.png", photo, 80.0),
        member("blurred.png", photo.filter(ImageFilter.GaussianBlur(4)), 30.0, blur=2.0),
        member("small.png", resized(photo, 256), 85.0),
    )
    assert [name for name, *_ in found] == ["sharp.png", "small.png", "blurred.png"]
    assert found[2][1:] == (
        "enlarged",
        "quality 50.0 points lower than that of sharp.png: blurrier; no more detail than an"
        " enlargement of small.png",
    )


def test_an_enlarged_copy_is_one_of_the_best_of_equally_large_frames(member, photo):
    dark = photo.point(lambda value: value * 0.6)
    found = placed(
        member("a.png", photo, 80.0),
        member("dark.png", dark, 60.0),
        member("big.png", resized(photo, 1024), 40.0),
    )
    assert [(name, relation) for name, relation, _ in found] == [
        ("a.png", "best"),
        ("dark.png", "similar"),
        ("big.png", "enlarged"),
    ]
    assert found[2][2].startswith("larger than a.png (1024 x 1024, 512 x 512) but blurrier")


def test_without_scores_a_blurred_frame_is_no_larger_copy(member, photo):
    found = placed(
        member("a.png", photo),
        member("b.png", photo.filter(ImageFilter.GaussianBlur(4))),
        member("small.png", resized(photo, 256)),
    )
    assert found[0] == ("a.png", "best", "best of 3: the largest, as none has a score")
    assert found[2][1:] == (
        "enlarged",
        "similar to a.png; it has no score; no more detail than an enlargement of small.png",
    )


def test_an_exposure_is_worth_its_best_scored_copy(member, photo):
    """Otherwise a blurred frame beats a sharp one that has a small copy of higher score."""
    shifted = Image.fromarray(np.roll(data.astronaut(), 40, 1))
    found = placed(
        member("original.png", photo, 60.0),
        member("small.png", resized(photo, 256), 75.0),
        member("other.png", shifted, 70.0),
    )
    assert [name for name, *_ in found] == ["original.png", "small.png", "other.png"]


def test_equal_files_follow_each_other(member, photo):
    found = placed(
        member("b.png", photo, 50.0),
        member("a.png", photo, 50.0),
        member("c.png", photo, 90.0),
        same={"a.png": "b.png", "b.png": "b.png"},
    )
    assert [name for name, *_ in found] == ["c.png", "a.png", "b.png"]
    assert found[2][1:] == ("same_bytes", "the same bytes as a.png")


def test_a_link_is_no_copy_to_keep_instead_of_its_file(member, photo, tmp_path):
    file = member("b.png", photo, 50.0)
    (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
    link = Member("a.png", tmp_path / "a.png", file.print, file.scored)
    found = placed(link, file, same={"a.png": "a.png", "b.png": "a.png"})
    assert [name for name, *_ in found] == ["b.png", "a.png"]
    assert found[1][2] == "a link to the same file as b.png"


def test_without_scores_the_largest_original_is_the_best(member, photo):
    found = placed(
        member("a.png", photo), member("b.png", np.roll(data.astronaut(), 30, 1)[:, :400])
    )
    assert found[0] == ("a.png", "best", "best of 2: the largest, as none has a score")
    assert found[1][2] == "similar to a.png; it has no score"


def test_a_picture_without_a_score_ranks_last(member, photo):
    shifted = np.roll(data.astronaut(), 40, 1)
    found = placed(member("a.png", shifted), member("b.png", photo, 5.0))
    assert [name for name, *_ in found] == ["b.png", "a.png"]


def test_one_picture_alone(member, photo):
    assert placed(member("a.png", photo, 5.0)) == [("a.png", "single", "no similar picture")]


def test_a_file_that_has_gone_is_not_said_to_show_less(member, photo):
    large = member("a.png", resized(photo, 1024), 50.0)
    small = member("b.png", photo, 60.0)
    Path(large.path).unlink()
    assert [name for name, *_ in placed(small, large)] == ["a.png", "b.png"]
