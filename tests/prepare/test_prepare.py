import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.command import Prepare
from rsfiqa.prepare.entries import listing_digest, read_entries, read_listing
from rsfiqa.prepare.groups import join_duplicates
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import failures, manifest
from rsfiqa.products.paths import failures_path, product_path, stats_path
from rsfiqa.scale import MosScale


def picture(path: Path, shade: int = 0, size=(12, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, 0, 0)).save(path)
    return path


@pytest.fixture
def data(tmp_path):
    """A CSV of four images, not in order; one of them in a folder."""
    for shade, name in enumerate(("b.png", "a.png", "sub/c.png", "d.png")):
        picture(tmp_path / "data" / name, shade)
    return write(tmp_path, "path,mos\nb.png,5\na.png,1\nsub/c.png,2\nd.png,3\n")


def write(tmp_path: Path, table: str) -> Path:
    path = tmp_path / "data/scores.csv"
    path.write_text(table, "utf-8")
    return path


def run(root: Path, out: str = "out", *, layout="csv", fraction=0.0, shard_size=3, **options):
    """Prepare beside `root`; the manifest's rows and provenance."""
    if layout == "csv":
        options = {"mos_range": (1, 5), **options}
    results = (root if root.is_dir() else root.parent).parent / out
    prepare.run(
        results,
        PrepareOptions(layout=layout, root=str(root), **options),
        shard_size=shard_size,
        max_failed_fraction=fraction,
        seed=0,
    )
    table, provenance = manifest.read(results / "manifest.parquet")
    return table.to_pylist(), provenance


def test_rows_are_sorted_and_numbered_into_shards(data):
    rows, provenance = run(data)
    assert [row["image_id"] for row in rows] == ["a.png", "b.png", "d.png", "sub/c.png"]
    assert [row["shard"] for row in rows] == [0, 0, 0, 1]
    assert [row["mos"] for row in rows] == [1, 5, 3, 2]
    assert [row["quality"] for row in rows] == [0, 1, 0.5, 0.25]
    assert {(row["width"], row["height"]) for row in rows} == {(12, 8)}
    for row in rows:
        assert row["path"] == str(data.parent / row["image_id"])
        assert row["sha256"] == sha256_of(Path(row["path"]))
        assert row["group"] == row["image_id"]
    assert manifest.scale_of(provenance) == MosScale(1, 5)


def test_dmos_is_turned_round_once(data):
    rows, provenance = run(data, lower_better=True)
    assert [row["mos"] for row in rows] == [1, 5, 3, 2]
    assert [row["quality"] for row in rows] == [1, 0, 0.5, 0.75]
    assert provenance.options["lower_better"] is True
    assert manifest.scale_of(provenance) == MosScale(1, 5, lower_better=True)


def test_the_same_bytes_each_time_and_no_machine_in_the_provenance(data):
    _, provenance = run(data)
    run(data, "again")
    first, second = (data.parents[1] / name / "manifest.parquet" for name in ("out", "again"))
    assert first.read_bytes() == second.read_bytes()
    assert str(data.parent) not in provenance.to_json()


def test_statistics(data):
    picture(data.parent / "b.png").write_bytes(b"")
    run(data, fraction=0.25)
    stats = json.loads((data.parents[1] / "out/manifest.stats.json").read_text("utf-8"))
    assert (stats["images"], stats["failed"]) == (4, 1)
    assert stats["ended"] >= stats["started"]
    assert stats["images_per_s"] > 0


def test_bad_images_become_failures(data):
    folder = data.parent
    (folder / "a.png").write_bytes(b"")
    (folder / "b.png").write_text("not an image", "utf-8")
    (folder / "d.png").unlink()
    rows, _ = run(data, fraction=0.75)
    assert [(row["image_id"], row["shard"]) for row in rows] == [("sub/c.png", 1)]
    found = failures.read(folder.parent / "out/manifest.failures.parquet").to_pylist()
    assert found == [
        {"image": "a.png", "stage": "prepare", "reason": "empty file (0 bytes)"},
        {"image": "b.png", "stage": "prepare", "reason": "not an image of a known format"},
        {"image": "d.png", "stage": "prepare", "reason": "no such file"},
    ]


def test_too_many_bad_images_are_an_error(data):
    (data.parent / "a.png").unlink()
    with pytest.raises(InputError, match=r"must not exceed 0.2 .*found 1 of 4 \(a.png: no such"):
        run(data, fraction=0.2)


def test_a_path_too_long_for_the_system_becomes_a_failure(data):
    write(data.parents[1], f"path,mos\na.png,1\n{'x' * 300}.png,2\n")
    rows, _ = run(data, fraction=0.5)
    assert [row["image_id"] for row in rows] == ["a.png"]


def test_a_bare_folder_has_no_scores(tmp_path):
    root = picture(tmp_path / "pictures/sub/e\u0301.jpg").parents[1]
    picture(root / os.fsdecode(b"\xe9.jpg"))
    ((row,), provenance) = run(root, layout="folder", fraction=0.5)
    assert row["image_id"] == "sub/\u00e9.jpg"
    assert row["mos"] is row["quality"] is row["severity"] is None
    assert manifest.scale_of(provenance) is None
    (failed,) = failures.read(tmp_path / "out/manifest.failures.parquet").to_pylist()
    assert failed["image"] == r"\xe9.jpg"
    assert failed["reason"] == "file name is not UTF-8"


def test_a_turned_photograph_is_listed_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    root = tmp_path / "pictures"
    root.mkdir()
    Image.new("RGB", (12, 8)).save(root / "a.jpg", exif=exif)
    ((row,), _) = run(root, layout="folder")
    assert (row["width"], row["height"]) == (8, 12)


def test_the_demo_set(tmp_path):
    options = PrepareOptions(layout="demo")
    prepare.run(tmp_path / "out", options, shard_size=100, max_failed_fraction=0, seed=0)
    table, provenance = manifest.read(tmp_path / "out/manifest.parquet")
    assert table.num_rows == 221
    assert manifest.shard_names(tmp_path / "out/manifest.parquet") == ["00000", "00001", "00002"]
    assert provenance.options["mos"].startswith("pseudo: ")
    np.testing.assert_allclose(table["quality"].to_numpy(), table["mos"].to_numpy() / 100, 1e-6)
    assert all(Path(path).is_file() for path in table["path"].to_pylist())


def test_a_data_set_without_images_is_an_error(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError, match=r"at least one usable image, found none of 0; check root"):
        run(tmp_path / "pictures", layout="folder")


def test_a_data_set_of_bad_images_is_an_error(data):
    write(data.parents[1], "path,mos\nnone.png,1\n")
    with pytest.raises(InputError, match=r"at least one usable image, found none of 1"):
        run(data, fraction=1.0)


def test_root_is_needed(tmp_path):
    options = PrepareOptions(layout="folder")
    with pytest.raises(InputError, match=r"folder: needs root, found none; set it to where"):
        prepare.run(tmp_path, options, shard_size=1, max_failed_fraction=0, seed=0)


def test_a_csv_needs_its_mos_range(data):
    with pytest.raises(InputError, match=r"csv: mos_range must be given, found none; set it to"):
        run(data, mos_range=None)


@pytest.mark.parametrize("wrong", [(5, 1), (3, 3), (0, float("inf"))])
def test_the_mos_range_must_rise(data, wrong):
    with pytest.raises(InputError, match=r"csv: mos_range must rise, found \["):
        run(data, mos_range=wrong)


@pytest.mark.parametrize("options", [{"mos_range": (0, 1)}, {"lower_better": True}])
def test_options_of_csv_are_refused_elsewhere(data, options):
    with pytest.raises(InputError, match=r"folder: mos_range and lower_better are for csv, found"):
        run(data.parent, layout="folder", **options)


def test_a_mos_outside_the_range_names_row_and_value(data):
    message = r"scores.csv line 2: MOS must lie in \[1, 4.5\], found 5 for 'b.png'; set mos_range"
    with pytest.raises(InputError, match=message):
        run(data, mos_range=(1, 4.5))


def test_a_range_far_wider_than_the_scores_is_warned_of(data, caplog):
    run(data, mos_range=(0, 100))
    message = (
        f"{data}: MOS should cover mos_range [0, 100], found 1 to 5, 4% of it; set mos_range to"
    )
    assert message in caplog.text


def test_a_range_that_the_scores_cover_in_part_is_taken(data, caplog):
    run(data, mos_range=(0, 10))
    assert "MOS should cover" not in caplog.text


def test_scores_are_checked_while_shards_are_planned(data, caplog):
    options = PrepareOptions(layout="csv", root=str(data), mos_range=(0, 100))
    read_listing(data.parents[1] / "out", options).shards(3)
    assert "MOS should cover mos_range [0, 100]" in caplog.text
    narrow = PrepareOptions(layout="csv", root=str(data), mos_range=(1, 4))
    with pytest.raises(InputError, match=r"line 2: MOS must lie in \[1, 4\], found 5 for 'b.png'"):
        read_listing(data.parents[1] / "out", narrow).shards(3)


def test_an_image_listed_twice_is_an_error(data):
    write(data.parents[1], "path,mos\na.png,1\nsub/../a.png,2\n")
    message = r"scores.csv line 3: image ids must differ .*, found 'a.png' in scores.csv line 2 al"
    with pytest.raises(InputError, match=message):
        run(data)


def test_an_image_id_that_products_cannot_hold_is_an_error(data):
    picture(data.parent / "night\ncity.png")
    for cell, name in (('"night\ncity.png"', r"night\\ncity.png"), ("a\0.png", r"a\\x00.png")):
        write(data.parents[1], f"path,mos\na.png,1\n{cell},2\n")
        message = (
            rf"^scores.csv line \d: an image's path must hold no line break and no null character,"
            rf" found '{name}'; rename or remove the image$"
        )
        with pytest.raises(InputError, match=message):
            run(data)
    with pytest.raises(InputError, match=r"^'night\\ncity.png': an image's path must hold no line"):
        run(data.parent, layout="folder")


def test_image_ids_that_become_equal_in_nfc_are_an_error(tmp_path):
    picture(tmp_path / "pictures/\u00e9.png")
    picture(tmp_path / "pictures/e\u0301.png")
    with pytest.raises(InputError, match=r"image ids must differ after Unicode normalization"):
        run(tmp_path / "pictures", layout="folder")


def test_a_group_on_both_sides_of_an_official_split_is_an_error(data):
    table = "path,mos,group,subset\na.png,1,x,train\nb.png,2,x,test\nd.png,2,y,test\n"
    write(data.parents[1], table)
    message = r"b.png: a group must lie on one side .* found 'x' in 'train' \(a.png\) and in 'test'"
    with pytest.raises(InputError, match=message):
        run(data)


def test_a_group_may_be_trained_and_validated_on(data):
    table = "path,mos,group,subset\na.png,1,x,training\nb.png,2,x,validation\nd.png,2,y,test\n"
    write(data.parents[1], table)
    assert [row["subset"] for row in run(data)[0]] == ["training", "validation", "test"]


def test_official_splits_are_kept(data):
    write(data.parents[1], "path,mos,group,subset\na.png,1,x,train\nb.png,2,y,test\nd.png,2,y,\n")
    rows, _ = run(data)
    assert [row["subset"] for row in rows] == ["train", "test", None]


def test_the_same_bytes_in_two_groups_are_an_error(data):
    (data.parent / "d.png").write_bytes((data.parent / "b.png").read_bytes())
    message = r"d.png: images of different groups must differ, found the same bytes in .*/b.png; gi"
    with pytest.raises(InputError, match=message):
        run(data)


def test_the_same_bytes_in_one_group_are_kept(data):
    (data.parent / "d.png").write_bytes((data.parent / "b.png").read_bytes())
    write(data.parents[1], "path,mos,group\nb.png,5,x\na.png,1,y\nd.png,3,x\n")
    assert [row["group"] for row in run(data)[0]] == ["y", "x", "x"]


def test_the_same_bytes_without_scores_are_kept(tmp_path):
    for name in ("a.png", "b.png"):
        picture(tmp_path / "pictures" / name)
    assert len(run(tmp_path / "pictures", layout="folder")[0]) == 2


def test_groups_of_a_published_set_are_joined_in_chains():
    rows = [
        {"image_id": f"{i}", "group": group, "sha256": digest}
        for i, (group, digest) in enumerate(
            [("c", "1"), ("b", "1"), ("b", "2"), ("a", "2"), ("d", "3"), ("c", "4")]
        )
    ]
    join_duplicates(rows)
    assert [row["group"] for row in rows] == ["a", "a", "a", "a", "d", "a"]


def test_shards_are_known_before_and_after(data):
    options = PrepareOptions(layout="csv", root=str(data), mos_range=(1, 5))
    out = data.parents[1] / "out"
    (data.parent / "a.png").unlink()  # a bad image keeps its place
    planned = read_listing(out, options).shards(2)
    run(data, fraction=0.5, shard_size=2)
    assert (
        planned
        == read_listing(out, options).shards(2)
        == manifest.shard_names(out / "manifest.parquet")
    )
    assert read_listing(out, options).shards(1) == ["00000", "00001", "00002", "00003"]


def test_shards_are_planned_from_the_data_set_as_it_is_now(data):
    options = PrepareOptions(layout="csv", root=str(data), mos_range=(1, 5))
    run(data, shard_size=2)
    write(data.parents[1], "path,mos\nb.png,5\na.png,1\nsub/c.png,2\nd.png,3\na2.png,3\n")
    assert read_listing(data.parents[1] / "out", options).shards(2) == ["00000", "00001", "00002"]


def digest(data: Path) -> str:
    options = PrepareOptions(layout="csv", root=str(data), mos_range=(1, 5))
    return read_listing(data.parents[1] / "out", options).sha256


@pytest.mark.parametrize(
    "table",
    [
        "path,mos\nb.png,5\na.png,1\nsub/c.png,2\nd.png,4\n",  # a MOS
        "path,mos\nb.png,5\na.png,1\nsub/c.png,2\n",  # an image less
        "path,mos\nb.png,5\na.png,1\nsub/c.png,2\nd.png,3\ne.png,3\n",  # one more
        "path,mos,group\nb.png,5,x\na.png,1,\nsub/c.png,2,\nd.png,3,\n",
        "path,mos,subset\nb.png,5,test\na.png,1,\nsub/c.png,2,\nd.png,3,\n",
        "path,mos,mos_std\nb.png,5,1\na.png,1,\nsub/c.png,2,\nd.png,3,\n",
    ],
)
def test_the_listing_changes_with_the_table(data, table):
    before = digest(data)
    write(data.parents[1], table)
    assert digest(data) != before


def test_the_listing_changes_with_the_images_alone(data):
    before = digest(data)
    write(data.parents[1], "path,mos\nd.png,3\nb.png,5\na.png,1\nsub/c.png,2.0\n")
    assert digest(data) == before  # other lines, the same data
    os.utime(data.parent / "a.png", ns=(0, 0))
    touched = digest(data)
    picture(data.parent / "b.png", 7, size=(30, 30))
    replaced = digest(data)
    (data.parent / "d.png").unlink()
    assert len({before, touched, replaced, digest(data)}) == 4


def test_the_listing_of_a_folder_however_it_is_spelt(tmp_path, monkeypatch):
    root = tmp_path / "pictures"
    picture(root / "a.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    digests = {
        read_listing(tmp_path / "out", PrepareOptions(layout="folder", root=spelling)).sha256
        for spelling in ("~/pictures", str(root), f"{root}/", "pictures", "./pictures/")
    }
    assert len(digests) == 1
    picture(root / os.fsdecode(b"\xe9.png"))
    listing = read_listing(tmp_path / "out", PrepareOptions(layout="folder", root=str(root)))
    assert (listing.images, len(listing.sha256)) == (2, 64)


def test_the_statistics_hold_the_listing_and_the_options(data):
    _, provenance = run(data)
    stats = json.loads(stats_path(data.parents[1] / "out/manifest.parquet").read_text("utf-8"))
    assert stats["provenance"] == provenance.to_json()
    options = PrepareOptions(layout="csv", root=str(data), mos_range=(1, 5))
    assert stats["listing"] == listing_digest(read_entries(data.parent, options, 0)) == digest(data)


def test_a_manifest_of_another_layout_is_not_replaced_unasked(data):
    run(data)
    folder = data.parents[1] / "out"
    before = (folder / "manifest.parquet").read_bytes()
    message = r"manifest.parquet: datasets.out.layout must be csv, with which it was made, found de"
    with pytest.raises(InputError, match=message):
        Prepare(folder=folder).run()
    described = {"layout": "csv", "root": str(data), "mos_range": (1, 5)}
    with pytest.raises(InputError, match=r"datasets.out.shard_size must be 3, .*found 1000; set"):
        Prepare(folder=folder, **described).run()
    with pytest.raises(
        InputError, match=r"datasets.out.mos_range must be \[1.0, 5.0\], .*\[0.0, 9"
    ):
        Prepare(folder=folder, **described | {"mos_range": (0, 9)}, shard_size=3).run()
    assert (folder / "manifest.parquet").read_bytes() == before
    Prepare(folder=folder, **described, shard_size=3).run()
    assert (folder / "manifest.parquet").read_bytes() == before
    Prepare(folder=folder, **described, shard_size=2, replace=True).run()
    assert manifest.shard_names(folder / "manifest.parquet") == ["00000", "00001"]


def test_a_damaged_manifest_is_made_again(data):
    run(data)
    folder = data.parents[1] / "out"
    before = (folder / "manifest.parquet").read_bytes()
    described = {"layout": "csv", "root": str(data), "mos_range": (1, 5), "shard_size": 3}
    (folder / "manifest.parquet").write_bytes(before[:-9])
    Prepare(folder=folder, **described).run()
    assert (folder / "manifest.parquet").read_bytes() == before
    (folder / "manifest.parquet").write_bytes(before[:-9])
    stats_path(folder / "manifest.parquet").unlink()
    Prepare(folder=folder, **described).run()
    assert (folder / "manifest.parquet").read_bytes() == before


def test_products_of_shards_that_there_are_no_more_are_removed(data, caplog):
    run(data, shard_size=1)
    folder = data.parents[1] / "out"
    kept = [folder / "segment/notes.txt", folder / "segment/00003.txt"]
    for shard in ("00001", "00002", "00003"):
        product = product_path(folder, "segment", shard)
        product.parent.mkdir(exist_ok=True)
        for path in (product, failures_path(product), stats_path(product), *kept):
            path.touch()
    caplog.set_level("INFO", "rsfiqa")
    run(data, shard_size=2)
    assert sorted(path.name for path in (folder / "segment").iterdir()) == [
        "00001.failures.parquet",
        "00001.h5",
        "00001.stats.json",
        "00003.txt",
        "notes.txt",
    ]
    assert f"{folder} has 2 shards now; 6 files of further ones were removed" in caplog.text


def coarse(path: Path, seed: int, quality: int = 95) -> None:
    """Write coarse noise as JPEG."""
    blocks = np.random.default_rng(seed).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    Image.fromarray(blocks.repeat(4, 0).repeat(4, 1)).save(path, format="JPEG", quality=quality)


@pytest.fixture
def near(tmp_path):
    """A CSV of four images: b.png is a.png saved again, d.png is c.png saved again."""
    (tmp_path / "data").mkdir()
    for name, seed, quality in (("a", 0, 95), ("b", 0, 60), ("c", 1, 95), ("d", 1, 60)):
        coarse(tmp_path / f"data/{name}.png", seed, quality)
    return write(tmp_path, "path,mos,subset\na.png,1,train\nb.png,2,test\nc.png,3,test\nd.png,4,\n")


def test_near_duplicates_of_a_table_are_kept_by_default(near):
    rows, provenance = run(near)
    assert [row["group"] for row in rows] == ["a.png", "b.png", "c.png", "d.png"]
    assert [row["subset"] for row in rows] == ["train", "test", "test", None]
    assert "near_duplicates" not in provenance.options


def test_near_duplicates_of_a_table_are_joined_on_request(near):
    rows, provenance = run(near, near_duplicates="join")
    assert [row["group"] for row in rows] == ["a.png", "a.png", "c.png", "c.png"]
    # d.png is named by no part of the split, so it is trained on
    left = "test_near_duplicate"
    assert [row["subset"] for row in rows] == ["train", left, left, None]
    assert provenance.options["near_duplicates"] == "join"


def test_an_image_that_cannot_be_decoded_has_no_near_duplicate(near):
    content = (near.parent / "b.png").read_bytes()
    (near.parent / "b.png").write_bytes(content[: len(content) // 2])
    rows, _ = run(near, near_duplicates="join")
    assert [row["group"] for row in rows] == ["a.png", "b.png", "c.png", "c.png"]


def finished_shards(folder: Path, *shards: str) -> list[Path]:
    """Files in the place of finished captions of these shards."""
    paths = [product_path(folder, "caption", shard) for shard in shards]
    for path in (*paths, *map(stats_path, paths)):
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}", "utf-8")
    return paths


@pytest.mark.parametrize("layout", ["csv", "folder"])
def test_products_are_not_removed_for_a_mistyped_root(data, layout):
    root = data if layout == "csv" else data.parent
    described = {"layout": layout, "mos_range": (1, 5) if layout == "csv" else None}
    folder = data.parents[1] / "out"
    Prepare(folder=folder, root=str(root), **described, shard_size=1).run()
    kept = finished_shards(folder, "00000", "00002", "00003")
    picture(data.parents[1] / "other/sub/x.png")
    other = data.parents[1] / "other"
    if layout == "csv":
        other /= "scores.csv"
        other.write_text("path,mos\nsub/x.png,2\n", "utf-8")
    before = (folder / "manifest.parquet").read_bytes()
    message = (
        rf"manifest.parquet: root must lead to {data.parent}, of whose images the products of shard"
        rf" 00002, 00003 were made, found {data.parents[1]}/other; correct root, or give --replace"
        r" to remove them$"
    )
    with pytest.raises(InputError, match=message):
        Prepare(folder=folder, root=str(other), **described, shard_size=1).run()
    assert (folder / "manifest.parquet").read_bytes() == before
    assert all(path.is_file() for path in kept)
    Prepare(folder=folder, root=str(other), **described, shard_size=1, replace=True).run()
    assert [path.is_file() for path in kept] == [True, False, False]


def test_a_data_set_that_was_moved_keeps_its_products(data):
    folder = data.parents[1] / "out"
    described = {"layout": "csv", "mos_range": (1, 5), "shard_size": 1}
    Prepare(folder=folder, root=str(data), **described).run()
    kept = finished_shards(folder, "00000", "00003")
    data.parent.rename(data.parents[1] / "moved")
    Prepare(folder=folder, root=str(data.parents[1] / "moved/scores.csv"), **described).run()
    assert all(path.is_file() for path in kept)


def test_products_of_shards_whose_pictures_were_removed_are_removed(data):
    folder = data.parents[1] / "out"
    described = {"layout": "csv", "root": str(data), "mos_range": (1, 5), "shard_size": 1}
    Prepare(folder=folder, **described).run()
    kept = finished_shards(folder, "00000", "00003")
    write(data.parents[1], "path,mos\nb.png,5\na.png,1\nd.png,3\n")
    Prepare(folder=folder, **described).run()
    assert [path.is_file() for path in kept] == [True, False]
