"""The functions of the realistic distortions, one by one."""

import numpy as np
import pytest
from skimage import data

from rsfiqa.images.realistic import files, lens, light, overlay, sensor, software, tone
from rsfiqa.images.realistic.linear import MIDDLE_GREY, to_light, to_pixels
from rsfiqa.images.realistic.severities import strength_of
from rsfiqa.registry import resolve
from rsfiqa.vocabulary import REALISTIC_FAMILIES

TARGETS = [target for family in REALISTIC_FAMILIES.values() for target in family.variants]
GREY = 118  # middle grey, 18 % of the light of white


@pytest.fixture(scope="module")
def photograph():
    """A part of a photograph of a cat, uint8 (120, 161, 3)."""
    return np.ascontiguousarray(data.chelsea()[40:160, 90:251])


def flat(value: int, side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


def apply(target: str, image: np.ndarray, severity: int = 3, seed: int = 0) -> np.ndarray:
    strength = strength_of(target.partition(":")[2], severity)
    result: np.ndarray = resolve(target)(image, strength, np.random.default_rng(seed))
    return result


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_pixels_for_the_same_seed_and_the_input_is_kept(target, photograph):
    before = photograph.copy()
    first, second = apply(target, photograph), apply(target, photograph)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second, strict=True)
    np.testing.assert_array_equal(photograph, before)
    assert (first != photograph).any()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (33, 2)])
def test_images_of_any_shape(target, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    for severity in (1, 5):
        assert apply(target, image, severity).shape == image.shape


@pytest.mark.parametrize("target", TARGETS)
def test_black_and_white_images_are_distorted_without_a_warning(target):
    for value in (0, 255):
        assert apply(target, flat(value), 5).shape == (64, 64, 3)


def test_light_and_back():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    np.testing.assert_array_equal(to_pixels(to_light(levels)), levels)
    assert to_light(flat(GREY))[0, 0, 0] == pytest.approx(MIDDLE_GREY, abs=0.002)


def test_one_stop_by_hand():
    random = np.random.default_rng(0)  # 188 is half the light of white, 137 a quarter
    assert light.overexposure(flat(137), 1.0, random)[0, 0, 0] == pytest.approx(188, abs=1)
    assert light.underexposure(flat(188), 1.0, random)[0, 0, 0] == pytest.approx(137, abs=1)
    assert light.overexposure(flat(200), 1.0, random)[0, 0, 0] == 255


def test_overexposure_clips_each_channel_by_itself():
    image = flat(0) + np.array([220, 120, 60], np.uint8)
    red, green, blue = light.overexposure(image, 1.0, np.random.default_rng(0))[0, 0]
    assert red == 255
    assert 120 < green < 255
    assert 60 < blue < green


def test_a_color_cast_keeps_luminance_and_parts_red_from_blue():
    result = light.color_cast(flat(GREY), 0.5, np.random.default_rng(0))
    luminance = to_light(result)[0, 0] @ light.LUMINANCE
    assert luminance == pytest.approx(MIDDLE_GREY, rel=0.02)
    red, _, blue = to_light(result)[0, 0]
    assert abs(np.log2(red / blue)) == pytest.approx(1.0, abs=0.05)


def test_both_warm_and_cold_casts_are_drawn():
    casts = [light.color_cast(flat(GREY), 0.5, np.random.default_rng(seed)) for seed in range(9)]
    assert {bool(cast[0, 0, 0] > cast[0, 0, 2]) for cast in casts} == {True, False}


def test_haze_lowers_contrast_and_is_thicker_at_the_top():
    image = np.zeros((80, 80, 3), np.uint8)
    image[:, ::2] = 255
    result = light.haze(image, 1.0, np.random.default_rng(1)).astype(int)
    contrast = result[:, ::2, 1].mean(axis=1) - result[:, 1::2, 1].mean(axis=1)
    assert contrast.max() < 200
    assert contrast[:10].mean() < contrast[-10:].mean()


def test_a_disc_covers_its_area():
    assert lens.disc(0.5).tolist() == pytest.approx(np.eye(3)[1][:, None] * np.eye(3)[1])
    for radius in (1.0, 3.5, 9.0):
        kernel = lens.disc(radius)
        assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
        assert 1 / kernel.max() == pytest.approx(np.pi * radius**2, rel=0.05)


def test_a_highlight_out_of_focus_becomes_a_bright_disc():
    image = flat(20, 41)
    image[19:22, 19:22] = 255
    result = lens.defocus(image, 6.0, np.random.default_rng(0))[..., 0]
    assert result[20, 20] == result[20, 23]  # flat inside
    assert result[20, 20] > 60  # a blur of pixel values would give 38
    assert result[20, 32] == 20


@pytest.mark.parametrize("function", [lens.camera_shake, lens.subject_motion])
def test_motion_blur_is_along_a_path(function):
    image = flat(0, 81)
    image[40, 40] = 255
    result = to_light(function(image, 20.0, np.random.default_rng(3)))[..., 0]
    rows, columns = np.nonzero(result > 0.001)
    distance = np.hypot(rows[:, None] - rows, columns[:, None] - columns)
    assert 15 < distance.max() < 24
    assert len(rows) < 120  # a disc of that size has 314 pixels
    assert result.sum() == pytest.approx(1.0, abs=0.2)  # of 8-bit pixels
    centre = (rows.mean(), columns.mean())
    assert centre == pytest.approx((40, 40), abs=6)


def test_sensor_noise_has_its_strength_and_is_correlated():
    noise = sensor.mosaic_noise(np.full((256, 256, 3), MIDDLE_GREY, np.float32), 0.2, random(0))
    assert noise.mean() == pytest.approx(0, abs=0.001)
    raw = noise[0::2, 1::2, 1]  # at sites with a green filter
    assert raw.std() == pytest.approx(0.2 * MIDDLE_GREY, rel=0.05)
    green = noise[..., 1]
    assert np.corrcoef(green[:, 1:].ravel(), green[:, :-1].ravel())[0, 1] > 0.3
    assert abs(np.corrcoef(green[:, 4:].ravel(), green[:, :-4].ravel())[0, 1]) < 0.05


def test_there_is_more_noise_in_more_light_but_less_of_it_relatively():
    deviations = []
    for value in (0.02, 0.18, 0.8):
        noise = sensor.mosaic_noise(np.full((128, 128, 3), value, np.float32), 0.2, random(0))
        deviations.append((noise.std(), noise.std() / value))
    absolute, relative = zip(*deviations, strict=True)
    assert absolute == tuple(sorted(absolute))
    assert relative == tuple(sorted(relative, reverse=True))


def random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_low_light_has_its_noise_in_the_shadows():
    dark, bright = (sensor.low_light(flat(value), 6.0, random(0)) for value in (60, 220))
    assert dark.astype(float).std() > 1.5 * bright.astype(float).std()
    assert bright.mean() == pytest.approx(220, abs=6)


def test_denoising_smears_texture(photograph):
    noisy = sensor.sensor_noise(photograph, 0.3, random(0)).astype(float)
    smeared = sensor.denoised(photograph, 0.3, random(0)).astype(float)
    assert np.abs(np.diff(smeared, axis=1)).mean() < np.abs(np.diff(noisy, axis=1)).mean()


def test_salt_and_pepper_loses_its_fraction_of_pixels():
    lost = sensor.salt_and_pepper(flat(GREY, 256), 0.1, random(0))
    assert (lost != GREY).mean() == pytest.approx(0.1, abs=0.01)
    assert set(np.unique(lost)) == {0, GREY, 255}


def test_two_grids_of_blocks(photograph):
    """Steps across columns stand out at two places of eight, not at one."""

    def columns(image):
        steps = np.abs(np.diff(image.astype(float), axis=1)).mean(axis=(0, 2))
        by_column = np.array([steps[i::8].mean() for i in range(8)])
        return np.flatnonzero(by_column > 1.15 * np.median(by_column))

    assert columns(files.jpeg(photograph, 93.0, random(0))).tolist() == [7]
    twice = columns(files.double_jpeg(photograph, 93.0, random(0)))
    assert 7 in twice
    assert len(twice) >= 2


def test_resampling_by_hand():
    image = np.tile(np.array([0, 0, 200, 200], np.uint8)[None, :, None], (4, 1, 3))
    image[:2] = 100
    np.testing.assert_array_equal(software.pixelated(image, 2.0, random(0)), image)
    assert software.pixelated(image, 4.0, random(0)).std() == 0
    assert software.upscaled(image, 4.0, random(0)).std() == 0


def test_halos_overshoot_at_an_edge():
    image = flat(100, 32)
    image[:, 16:] = 150
    result = software.halo_sharpening(image, 2.0, random(0))
    assert result[16, 15, 0] < 80
    assert result[16, 16, 0] > 170
    assert [result[16, 0, 0], result[16, 31, 0]] == [100, 150]


def test_tone_by_hand():
    image = flat(100, 8)
    image[:, ::2] = 156
    high = tone.contrast_high(image, 0.5, random(0))
    low = tone.contrast_low(image, 0.5, random(0))
    assert [int(high[0, 1, 0]), int(high[0, 0, 0])] == [86, 170]
    assert [int(low[0, 1, 0]), int(low[0, 0, 0])] == [114, 142]


def test_saturation_keeps_grey_and_luma(photograph):
    for function in (tone.saturation_high, tone.saturation_low):
        assert np.abs(function(flat(GREY), 0.8, random(0)).astype(int) - GREY).max() <= 1
    grey = tone.saturation_low(photograph, 1.0, random(0)).astype(int)
    assert np.ptp(grey, axis=2).max() <= 1
    luma = photograph @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey[..., 0] - luma).max() <= 1.5
    vivid = tone.saturation_high(photograph, 0.5, random(0)).astype(int)
    assert np.ptp(vivid, axis=2).mean() > 1.2 * np.ptp(photograph, axis=2).mean()


@pytest.mark.parametrize("seed", range(6))
def test_a_watermark_becomes_more_opaque(seed):
    image = np.full((300, 400, 3), 128, np.uint8)
    changes = [
        np.abs(overlay.watermark(image, opacity, np.random.default_rng(seed)).astype(int) - image)
        for opacity in (0.2, 0.5, 0.8)
    ]
    means = [change.mean() for change in changes]
    assert 0 < means[0] < means[1] < means[2]
    assert [change.max() for change in changes] == pytest.approx(
        [opacity * 127.5 for opacity in (0.2, 0.5, 0.8)], abs=1
    )


def test_a_watermark_on_a_light_image_is_dark():
    image = np.full((200, 200, 3), 250, np.uint8)
    for seed in range(5):
        changed = overlay.watermark(image, 0.5, np.random.default_rng(seed))
        assert changed.min() == 125
