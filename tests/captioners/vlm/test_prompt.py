import base64
import io
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from rsfiqa.captioners.vlm import prompt
from rsfiqa.captioners.vlm.answer import response_format
from rsfiqa.vocabulary import FAMILIES, ITU_LEVELS, RATINGS


def decoded(uri: str) -> np.ndarray:
    kind, data = uri.split(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_the_exact_messages_about_a_region():
    assert prompt.region_messages("data:whole", "data:region") == [
        {"role": "system", "content": prompt.instructions("regions")},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "The whole photograph:"},
                {"type": "image_url", "image_url": {"url": "data:whole"}},
                {"type": "text", "text": "The region:"},
                {"type": "image_url", "image_url": {"url": "data:region"}},
            ],
        },
    ]


def test_the_exact_messages_about_an_image():
    numbered = "The same with its regions outlined and numbered, 1 to 3:"
    assert prompt.image_messages("data:whole", "data:marks", 3) == [
        {"role": "system", "content": prompt.instructions("image")},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "The photograph:"},
                {"type": "image_url", "image_url": {"url": "data:whole"}},
                {"type": "text", "text": numbered},
                {"type": "image_url", "image_url": {"url": "data:marks"}},
            ],
        },
    ]


def test_marks_outline_and_number_every_region_and_leave_the_rest():
    image = np.full((200, 300, 3), 120, np.uint8)
    labels = np.zeros((200, 300), np.uint16)
    labels[:, 150:] = 1
    labels[150:, :] = 2
    marks = prompt.marked(image, labels)
    changed = (marks != image).any(axis=2)
    assert changed[:150, 149:151].all()  # the border of regions 1 and 2
    assert changed[149:151, :].all()
    assert not changed[:10, :10].any()
    for y0, y1, x0, x1 in ((10, 140, 10, 140), (10, 140, 160, 290), (160, 190, 10, 290)):
        assert 20 < changed[y0:y1, x0:x1].sum() < 800  # a number
    assert (image == 120).all()


@pytest.mark.parametrize("kind", ["regions", "image"])
def test_the_instructions_name_all_words(kind):
    text = prompt.instructions(kind)
    for word in (*FAMILIES, *RATINGS, *ITU_LEVELS):
        assert word in text


@pytest.mark.parametrize(
    ("kind", "digest"),
    [
        ("regions", "ba22957d794c4f2c6ede684a526203a2c092502501b60d4b03a7ba24322fc69f"),
        ("image", "f486e160575a6fa342a9238d49ea3c7df32872539dc2d471af1377d8da0ba4a1"),
    ],
)
def test_the_instructions_of_version_1_stay_the_same(kind, digest):
    assert prompt.VERSION == 1
    assert sha256(prompt.instructions(kind).encode()).hexdigest() == digest


def test_the_instructions_and_the_schema_name_a_registered_family():
    FAMILIES.register("haze", FAMILIES["contrast_low"])
    try:
        assert "pixelation, quantization, haze) and" in prompt.instructions("regions")
        schema = response_format(None)["json_schema"]["schema"]
        assert schema["$defs"]["Distortion"]["properties"]["family"]["enum"][-1] == "haze"
    finally:
        FAMILIES.remove("haze")


def test_a_picture_is_sent_without_loss(noise):
    np.testing.assert_array_equal(decoded(prompt.picture(noise, 10**6)), noise)


@pytest.mark.parametrize(
    ("shape", "limit", "expected"),
    [
        ((400, 300), 30_000, (200, 150)),
        ((80, 4000), 80_000, (40, 2000)),  # the limit comes before the least side
        ((1, 1), 10**6, (64, 64)),
        ((8, 100), 10**6, (64, 800)),
        ((8, 20000), 160_000, (8, 20000)),  # too thin to be enlarged within the limit
    ],
)
def test_sizes_of_pictures(shape, limit, expected):
    image = np.full((*shape, 3), 7, np.uint8)
    found = decoded(prompt.picture(image, limit))
    assert found.shape[:2] == expected
    assert (found == 7).all()


def test_a_region_is_cut_out_with_a_margin_and_outlined():
    image = np.full((400, 400, 3), 100, np.uint8)
    labels = np.zeros((400, 400), np.uint16)
    labels[100:200, 150:300] = 1
    cut = prompt.cut_out(image, labels, 1)
    assert cut.shape == (120, 180, 3)  # a tenth on each side
    inside = cut[10:110, 15:165]
    assert (inside == 100).all()  # not a pixel of the region is touched
    ring = cut[8:112, 13:167].copy()
    assert (ring[1, 1:-1] == 0).all()
    assert (ring[0, 1:-1] == 255).all()
    assert (cut[:8] == 100).all()
    assert (image == 100).all()


def test_a_small_region_shows_more_of_its_surroundings():
    image = np.zeros((400, 400, 3), np.uint8)
    labels = np.zeros((400, 400), np.uint16)
    labels[0, 399] = 1
    found = prompt.cut_out(image, labels, 1)
    assert min(found.shape[:2]) >= prompt.MIN_SIDE
    assert max(found.shape[:2]) <= prompt.MIN_SIDE + 1


def test_a_region_of_a_tiny_image():
    image = np.zeros((5, 9, 3), np.uint8)
    assert prompt.cut_out(image, np.zeros((5, 9), np.uint16), 0).shape == (5, 9, 3)
