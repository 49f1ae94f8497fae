import math
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from rsfiqa import samples
from rsfiqa.caption import stage as caption
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.embed import stage as embed
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.encoders.files import PACKAGED
from rsfiqa.errors import InputError
from rsfiqa.extract import stage as extract
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import captions, embeddings, features, manifest, regions
from rsfiqa.products.paths import product_path
from rsfiqa.region_layout import coverage
from rsfiqa.samples import load
from rsfiqa.scale import MosScale
from rsfiqa.segment import stage as segment
from rsfiqa.segment.options import SegmentOptions
from tests.support.pipeline import BROKEN, EXTRACT, made


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A data set's folder with all products; not to be changed."""
    return made(tmp_path_factory) / "tiny"


@pytest.fixture
def copy(tiny, tmp_path):
    """The same, to be changed."""
    return shutil.copytree(tiny, tmp_path / "tiny")


def same(a: samples.Samples, b: samples.Samples) -> bool:
    """Whether both have the same images and model inputs."""
    parts = [(getattr(a.batch, part.name), getattr(b.batch, part.name)) for part in fields(a.batch)]
    return a.rows == b.rows and all(torch.equal(x, y) for x, y in parts)


def test_a_data_set_has_its_name_wherever_it_is_loaded_from(tiny, monkeypatch):
    monkeypatch.chdir(tiny)
    assert load(Path()).dataset == load(Path("../tiny/")).dataset == load(tiny).dataset == "tiny"


def test_each_image_has_its_own_products(tiny):
    data = load(tiny)
    assert (data.dataset, data.scale, len(data)) == ("tiny", MosScale(1, 5), 12)
    assert data.image_ids == sorted(data.image_ids)
    np.testing.assert_allclose(data.quality, (data.mos - 1) / 4, atol=1e-6)
    for shard in ("00000", "00001"):
        reader = regions.Reader(product_path(tiny, "segment", shard))
        embedded, _ = embeddings.read(product_path(tiny, "embed", shard))
        extracted, _ = features.read(product_path(tiny, "extract", shard))
        for image_id in reader.image_ids:
            row, count = data.image_ids.index(image_id), len(reader.table(image_id))
            batch = data.batch.take(torch.tensor([row]))
            assert batch.present[0].nonzero().flatten().tolist() == list(range(count))
            at = embedded.offsets[embedded.image_ids.index(image_id)]
            vectors = embedded.vectors[at : at + count].astype(np.float32)
            np.testing.assert_array_equal(batch.text[0, :count], vectors)
            place = extracted.image_ids.index(image_id)
            grid_features = extracted.grid_features[place]
            np.testing.assert_array_equal(batch.grid_features[0], grid_features)
            np.testing.assert_array_equal(data.mirrored[row], extracted.mirrored[place])
            np.testing.assert_array_equal(data.distorted[row], extracted.distorted[place])
            whole = coverage(reader[image_id].labels, grid_features.shape[-1])
            np.testing.assert_array_equal(batch.coverage[0, :count], whole)
    assert data.channels == extracted.channels
    assert data.provenance.keys() == {"manifest", "segment", "caption", "embed", "extract"}


def test_absent_regions_are_zero(tiny):
    batch = load(tiny).batch
    assert not batch.present.all()
    for name in ("coverage", "text", "ratings", "geometry"):
        assert not getattr(batch, name)[~batch.present].any(), name


def test_some_images_are_taken(tiny):
    data = load(tiny)
    chosen = np.arange(len(data)) % 5 == 2
    some = data.take(chosen)
    assert some.image_ids == [data.image_ids[2], data.image_ids[7]]
    assert some.groups == [data.groups[2], data.groups[7]]
    assert torch.equal(some.batch.grid_features, data.batch.grid_features[[2, 7]])
    assert torch.equal(some.mirrored, data.mirrored[[2, 7]])
    assert torch.equal(some.distorted, data.distorted[[2, 7]])


def drop_features(folder, shard: str, image_id: str) -> None:
    path = product_path(folder, "extract", shard)
    content, provenance = features.read(path)
    kept = [i for i, name in enumerate(content.image_ids) if name != image_id]
    arrays = {name: getattr(content, name)[kept] for name in features.VIEWS}
    image_ids = [content.image_ids[i] for i in kept]
    features.write(path, replace(content, image_ids=image_ids, **arrays), provenance)


def test_a_shard_without_the_augmented_views_of_the_others_is_refused(copy):
    """They are no part of the lineage; training would leave out those of all shards."""
    path = product_path(copy, "extract", "00001")
    content, provenance = features.read(path)
    empty = {name: getattr(content, name)[:0] for name in features.AUGMENTED_VIEWS}
    features.write(path, replace(content, **empty), provenance)
    with pytest.raises(InputError, match=r"must have mirrored views, found some without; run the"):
        load(copy)


def drop_captions(folder, shard: str, image_id: str) -> None:
    path = product_path(folder, "caption", shard)
    table, provenance = captions.read(path)
    kept = np.array([name != image_id for name in table["image_id"].to_pylist()])
    captions.write(path, table.filter(pa.array(kept)), provenance)
    digest = sha256_of(path)
    path = product_path(folder, "embed", shard)
    old, provenance = embeddings.read(path)
    i = old.image_ids.index(image_id)
    counts = np.delete(np.diff(old.offsets), i)
    image_ids = [name for name in old.image_ids if name != image_id]
    content = embeddings.Embeddings(image_ids, np.cumsum([0, *counts]), old.vectors[kept], 0)
    embeddings.write(
        path, content, replace(provenance, inputs={**provenance.inputs, "captions": digest})
    )


@pytest.mark.parametrize("drop", [drop_features, drop_captions])
def test_an_image_that_failed_in_one_stage_is_left_out(tiny, copy, drop):
    drop(copy, "00000", "02.png")
    data = load(tiny)
    assert BROKEN in manifest.read(tiny / "manifest.parquet")[0]["image_id"].to_pylist()
    assert BROKEN not in data.image_ids
    assert same(load(copy), data.take(np.array(data.image_ids) != "02.png"))


def test_an_image_that_failed_moves_no_other_to_another_part(tiny, copy):
    drop_features(copy, "00000", "02.png")
    drop_features(copy, "00000", "03.png")
    split = {"test_fraction": 0.4, "seed": 0}
    whole, fewer = load(tiny), load(copy)
    for number in range(8):
        name = f"split-{number:02d}"
        parts = dict(zip(whole.image_ids, whole.test_mask(name, **split), strict=True))
        left = dict(zip(fewer.image_ids, fewer.test_mask(name, **split), strict=True))
        assert left == {image_id: parts[image_id] for image_id in fewer.image_ids}


@pytest.mark.parametrize("tests", [True, False])
def test_a_part_of_which_no_image_could_be_read_is_refused(tiny, tests):
    data, split = load(tiny), {"test_fraction": 0.4, "seed": 0}
    left = data.take(data.test_mask("split-00", **split) == tests)
    with pytest.raises(
        InputError, match=r"^tiny: split-00 needs images .* both sides, found \d+ to"
    ):
        left.test_mask("split-00", **split)


@pytest.mark.parametrize("tests", [True, False])
def test_a_part_with_one_mos_is_refused(tiny, tests):
    data, split = load(tiny), {"test_fraction": 0.4, "seed": 0}
    quality = data.quality.copy()
    quality[data.test_mask("split-00", **split) == tests] = 0.5
    place = data.rows.schema.get_field_index("quality")
    same = replace(data, rows=data.rows.set_column(place, "quality", pa.array(quality)))
    message = r"^tiny: split-00 needs images .* differ in MOS on both sides, found \d+ to test and"
    with pytest.raises(InputError, match=message):
        same.test_mask("split-00", **split)


def test_the_digest_of_the_scores_changes_with_their_direction(tiny):
    data = load(tiny)
    reversed_quality = [1 - value for value in data.rows["quality"].to_pylist()]
    place = data.rows.schema.get_field_index("quality")
    other = replace(data, rows=data.rows.set_column(place, "quality", pa.array(reversed_quality)))
    every = np.ones(len(data), bool)
    first, again, changed = (
        x.image_digests(every)["scores_sha256"] for x in (data, load(tiny), other)
    )
    assert first == again != changed


def test_shards_that_were_made_in_different_ways_are_refused(copy):
    path = product_path(copy, "extract", "00001")
    content, provenance = features.read(path)
    features.write(path, content, replace(provenance, models={"other": "0" * 64}))
    message = r"tiny/extract: all shards must be made in the same way, found .*; run the extract"
    with pytest.raises(InputError, match=message):
        load(copy)


def test_a_rating_that_is_no_number_is_refused(copy):
    path = product_path(copy, "caption", "00000")
    table, provenance = captions.read(path)
    column = table.schema.get_field_index("blur_expected")
    values = [math.nan, *table["blur_expected"].to_pylist()[1:]]
    bad = pa.array(values, pa.float32())
    captions.write(path, table.set_column(column, table.schema.field(column), bad), provenance)
    message = r"'blur_expected' must be a number in \[1, 5\] or null, found NaN for .*; caption the"
    with pytest.raises(InputError, match=message):
        load(copy)


def rewrite_captions(folder, rows: list[dict]) -> None:
    """Replace the captions of shard 00000; its embeddings record the new file as their input."""
    path = product_path(folder, "caption", "00000")
    _, provenance = captions.read(path)
    captions.write(path, pa.Table.from_pylist(rows, schema=captions.SCHEMA), provenance)
    digest = sha256_of(path)
    path = product_path(folder, "embed", "00000")
    content, provenance = embeddings.read(path)
    inputs = {**provenance.inputs, "captions": digest}
    embeddings.write(path, content, replace(provenance, inputs=inputs))


def caption_rows(folder) -> list[dict]:
    return captions.read(product_path(folder, "caption", "00000"))[0].to_pylist()


def another_image(folder) -> None:
    """The captions of 02.png bear the name of an image that the shard does not have."""
    rows = caption_rows(folder)
    renamed = [
        row | {"image_id": "02b.png"} if row["image_id"] == "02.png" else row for row in rows
    ]
    rewrite_captions(folder, renamed)


def two_images(folder) -> None:
    """The captions of 02.png are taken for those of 03.png."""
    rows = caption_rows(folder)
    renamed = [row | {"image_id": "03.png"} if row["image_id"] == "02.png" else row for row in rows]
    rewrite_captions(folder, renamed)


def no_first_region(folder) -> None:
    first = ("02.png", 0)
    rows = caption_rows(folder)
    rewrite_captions(folder, [row for row in rows if (row["image_id"], row["region"]) != first])


def no_last_region(folder) -> None:
    rows = caption_rows(folder)
    last = ("02.png", max(row["region"] for row in rows if row["image_id"] == "02.png"))
    rewrite_captions(folder, [row for row in rows if (row["image_id"], row["region"]) != last])


def additional_embedding(folder) -> None:
    path = product_path(folder, "embed", "00000")
    content, provenance = embeddings.read(path)
    place = content.image_ids.index("02.png")
    offsets = content.offsets + (np.arange(len(content.offsets)) > place)
    vectors = np.insert(content.vectors, content.offsets[place + 1], 0, axis=0)
    embeddings.write(path, replace(content, offsets=offsets, vectors=vectors), provenance)


def embedding_of_no_image(folder) -> None:
    path = product_path(folder, "embed", "00000")
    content, provenance = embeddings.read(path)
    vectors = np.concatenate([content.vectors, content.vectors[:1]])
    embeddings.write(path, replace(content, vectors=vectors), provenance)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            another_image,
            r"02b.png: captions and regions must hold the same images, found it in the captions"
            r" only; run the caption",
        ),
        (
            two_images,
            r".*caption/00000.parquet: the captions of 03.png must have one row for each region"
            r" from 0, found region 0 in place of 1; run the caption",
        ),
        (
            no_first_region,
            r".*caption/00000.parquet: the captions of 02.png must have one row for each region"
            r" from 0, found region 1 in place of 0; run the caption",
        ),
        (
            no_last_region,
            r"02.png: captions must have one row for each of its \d regions, found \d; run the"
            r" caption",
        ),
        (
            additional_embedding,
            r"02.png: embeddings must have one row for each of its \d regions, found \d; run the"
            r" embed",
        ),
        (
            embedding_of_no_image,
            r".*embed/00000.safetensors: 'offsets' must divide the \d+ vectors among 7 images,"
            r" found 8 offsets up to \d+; run the embed",
        ),
    ],
)
def test_products_that_do_not_fit_each_other_are_refused_in_one_line(copy, change, message):
    change(copy)
    with pytest.raises(InputError, match=rf"^{message} stage again$") as error:
        load(copy)
    assert "\n" not in str(error.value)


def test_captions_of_other_regions_are_refused(copy):
    path = product_path(copy, "segment", "00001")
    reader = regions.Reader(path)
    content = [reader[image_id] for image_id in reader.image_ids]
    regions.write(path, content, replace(reader.provenance, options={"max_regions": 5}))
    message = r"caption/00001.parquet: made from another regions file \(.*\); run the caption st.*$"
    with pytest.raises(InputError, match=message) as error:
        load(copy)
    assert "\n" not in str(error.value)


def test_embeddings_of_other_captions_are_refused(copy):
    path = product_path(copy, "caption", "00000")
    table, provenance = captions.read(path)
    captions.write(path, table, replace(provenance, options={"backend": "other"}))
    message = r"embed/00000.safetensors: made from another captions file \(.*; run the embed stage"
    with pytest.raises(InputError, match=message) as error:
        load(copy)
    assert "\n" not in str(error.value)


def test_products_of_other_images_are_refused(copy):
    path = copy / "manifest.parquet"
    table, provenance = manifest.read(path)
    column = table.schema.get_field_index("sha256")
    digests = pa.array(["0" * 64] * len(table))
    manifest.write(path, table.set_column(column, "sha256", digests), provenance)
    message = (
        r"segment/00000.h5: made from another manifest file \(.*\); run the segment stage again"
    )
    with pytest.raises(InputError, match=message):
        load(copy)


def test_a_shard_without_a_usable_image(tiny, copy):
    """All stages go through with nothing in a shard."""
    first = {"only": ("00000",), "max_failed_fraction": 1.0}
    table, _ = manifest.read(copy / "manifest.parquet", "00000")
    for path in map(Path, table["path"].to_pylist()):
        path.rename(path.with_suffix(".away"))
    try:
        for stage in ("segment", "caption", "embed", "extract"):
            product_path(copy, stage, "00000").unlink()
        segment.run(copy, SegmentOptions(max_regions=4), **first)
        caption.run(copy, CaptionOptions(), **first)
        embed.run(copy, EmbedOptions(encoder=PACKAGED), **first)
        extract.run(copy, EXTRACT, **first)
    finally:
        for path in map(Path, table["path"].to_pylist()):
            path.with_suffix(".away").rename(path)
    gone = set(table["image_id"].to_pylist())
    assert load(copy).image_ids == [name for name in load(tiny).image_ids if name not in gone]


@pytest.mark.parametrize("stage", ["segment", "caption", "embed", "extract"])
def test_a_missing_product_is_named(copy, stage):
    path = product_path(copy, stage, "00001")
    path.unlink()
    with pytest.raises(InputError, match=rf"^{path}: no such file; run the .* first$"):
        load(copy)


def test_images_without_scores_are_refused(tmp_path, make_manifest):
    folder = make_manifest(tmp_path, ["a.png", "b.png", "c.png"], quality=[None, 0.5, None])
    with pytest.raises(InputError, match=r"need a MOS for every image, found 2 without; use a dat"):
        load(folder)


def test_a_data_set_without_a_finished_image_is_refused(copy):
    for shard in ("00000", "00001"):
        path = product_path(copy, "extract", shard)
        content, provenance = features.read(path)
        none = {name: getattr(content, name)[:0] for name in features.VIEWS}
        features.write(path, replace(content, image_ids=[], **none), provenance)
    with pytest.raises(InputError, match=r"tiny: must hold an image that every stage could read"):
        load(copy)
