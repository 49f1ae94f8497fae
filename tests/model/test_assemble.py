"""Model inputs from label maps, captions, embeddings and grid features."""

import numpy as np
import pytest
import torch

from rsfiqa.errors import InputError
from rsfiqa.model import batch_images, common_images, image_inputs, region_layout, with_layouts
from rsfiqa.model.assemble import ImageInputs
from rsfiqa.products.regions import region_table
from rsfiqa.region_layout import coverage, geometry

LABELS = np.array([[0, 0, 0, 1], [0, 0, 1, 1], [2, 2, 1, 1], [2, 2, 1, 1]], np.uint16)
GRID, CHANNELS, TEXT = 2, 3, 4
IDS = ["a.png", "b.png", "c.png"]


def inputs(labels: np.ndarray = LABELS, image_id: str = "a.png", **changes: int) -> ImageInputs:
    """Random inputs of an image; `changes` adds rows to some of the products."""
    regions, random = int(labels.max()) + 1, np.random.default_rng(labels.size)
    rows = {name: regions + changes.get(name, 0) for name in ("table", "ratings", "text")}
    return image_inputs(
        image_id,
        labels=labels,
        table=np.resize(region_table(labels), rows["table"]),
        ratings=random.uniform(1, 5, (rows["ratings"], 5)).astype(np.float32),
        text=random.normal(size=(rows["text"], TEXT)).astype(np.float16),
        grid_features=random.normal(size=(2, CHANNELS, GRID, GRID)).astype(np.float16),
    )


def test_coverage_is_the_fraction_of_each_cell() -> None:
    np.testing.assert_array_equal(
        coverage(LABELS, 2),
        np.array([[1, 0.25, 0, 0], [0, 0.75, 0, 1], [0, 0, 1, 0]], np.float32),
        strict=True,
    )


def test_cells_of_an_uneven_map_are_whole_pixels() -> None:
    # Columns 0 to 2 and 3 to 4.
    columns = coverage(np.array([[0, 1, 1, 2, 2]], np.uint16), 2)[:, :2]
    np.testing.assert_allclose(columns, [[1 / 3, 0], [2 / 3, 0], [0, 1]], rtol=1e-6)


def test_a_map_smaller_than_the_grid_is_enlarged() -> None:
    left = np.tile([1, 1, 0, 0], 4)
    np.testing.assert_array_equal(coverage(np.array([[0, 1]], np.uint16), 4), [left, 1 - left])


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (7, 61), (100, 9)])
def test_the_regions_cover_every_cell(shape: tuple[int, int]) -> None:
    labels = np.random.default_rng(0).integers(0, 5, shape).astype(np.uint16)
    labels.flat[0] = 4
    fractions = coverage(labels, 8)
    assert fractions.shape == (5, 64)
    np.testing.assert_allclose(fractions.sum(axis=0), 1, rtol=1e-6)


def test_geometry_is_relative_to_the_image() -> None:
    labels = np.array([[0, 0, 0, 1], [0, 0, 0, 1]], np.uint16)
    actual = geometry(labels, region_table(labels))
    assert actual.dtype == np.float32
    expected = [
        [np.log(6 / 8), 1.5 / 4, 0.5, 0, 0, 0.75, 1],
        [np.log(2 / 8), 3.5 / 4, 0.5, 0.75, 0, 1, 1],
    ]
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_a_batch_holds_the_images_in_order_padded_with_zeros() -> None:
    images = [inputs(), inputs(np.zeros((3, 5), np.uint16), "b.png")]
    batch = batch_images(images)
    assert batch.present.tolist() == [[True] * 3, [True, False, False]]
    assert (batch.grid_features.dtype, batch.text.dtype) == (torch.float16, torch.float32)
    for row, image in enumerate(images):
        assert torch.equal(batch.grid_features[row], torch.from_numpy(image.grid_features))
        for name in ("coverage", "text", "ratings", "geometry"):
            actual = getattr(batch, name)[row].numpy()
            np.testing.assert_array_equal(actual[: len(image)], getattr(image, name))
            assert not actual[len(image) :].any()


@pytest.mark.parametrize(
    ("product", "change", "message"),
    [
        ("table", 1, "region table must have one .* 3 regions, found 4; run the segment stage"),
        ("ratings", -1, "captions must have one .* 3 regions, found 2; run the caption stage"),
        ("text", 1, "embeddings must have one .* 3 regions, found 4; run the embed stage"),
    ],
)
def test_another_number_of_regions_is_refused(product: str, change: int, message: str) -> None:
    with pytest.raises(InputError, match=rf"^a.png: {message} again$") as error:
        inputs(**{product: change})
    assert "\n" not in str(error.value)


def test_images_that_a_stage_could_not_read_are_left_out() -> None:
    some = {"manifest": IDS, "regions": IDS, "captions": IDS[:2], "embeddings": IDS[:2]}
    assert common_images(**some, features=IDS[1:]) == ["b.png"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"regions": [*IDS, "d.png"]}, "regions and manifest .* regions only; run the segment"),
        ({"regions": IDS[:2]}, "captions and regions .* captions only; run the caption"),
        ({"embeddings": IDS[:2]}, "captions and embeddings .* captions only; run the embed"),
        ({"captions": IDS[:2]}, "embeddings and captions .* embeddings only; run the embed"),
        ({"features": ["d.png"]}, "features and manifest .* features only; run the extract"),
    ],
)
def test_products_of_other_images_are_refused(change: dict[str, list[str]], message: str) -> None:
    products = ("manifest", "regions", "captions", "embeddings", "features")
    with pytest.raises(InputError, match=rf"^[cd].png: {message} stage again$") as error:
        common_images(**dict.fromkeys(products, IDS) | change)
    assert "\n" not in str(error.value)


def test_layouts_are_replaced_and_captions_kept() -> None:
    batch = batch_images([inputs(), inputs(LABELS[::-1], "b.png")])
    crop = LABELS[2:]  # region 0 is not in it
    dense = np.where(crop == 1, 0, 1).astype(np.uint16)
    layout = region_layout(dense, region_table(dense), GRID).placed(np.array([1, 2]), 3)
    changed = with_layouts(batch, [layout, layout])
    assert torch.equal(changed.text, batch.text)
    assert torch.equal(changed.ratings, batch.ratings)
    assert torch.equal(changed.grid_features, batch.grid_features)
    assert changed.present.tolist() == [[False, True, True]] * 2
    np.testing.assert_array_equal(changed.coverage[0, 1:], coverage(dense, GRID))
    np.testing.assert_array_equal(changed.geometry[0, 1:], geometry(dense, region_table(dense)))
    assert not changed.coverage[:, 0].any()
