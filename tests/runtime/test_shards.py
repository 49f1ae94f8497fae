import json

import pyarrow as pa
import pytest

from rsfiqa.errors import ImageError, InputError
from rsfiqa.io.json_files import write_json
from rsfiqa.products import failures, manifest
from rsfiqa.products.paths import product_path
from rsfiqa.products.versions import VERSIONS
from rsfiqa.runtime import shards


@pytest.fixture
def folder(tmp_path, make_manifest):
    """A data set of five images in shards of two."""
    return make_manifest(tmp_path / "set", [f"{i}.png" for i in range(5)], shard_size=2)


class Stage:
    """A stage that lists its images, and fails on those in `bad`."""

    def __init__(self, stage: str = "segment", bad: tuple[str, ...] = ()) -> None:
        self.stage, self.bad = stage, bad
        self.made: list[str] = []

    def make(self, shard: shards.Shard) -> list[str]:
        self.made.append(shard.name)
        found = []
        for row in shard.progress(shard.images):
            with shard.record_failure(row["image_id"]):
                if row["image_id"] in self.bad:
                    raise ImageError("blank")
                found.append(row["image_id"])
        shard.counts["found"] = len(found)
        return found

    def run(self, folder, *, fraction=0.0, only=(), **options) -> list[str]:
        """Names of the shards that were made."""
        self.made.clear()
        arguments = {"options": {"x": 1}, "schema": 1} | options
        shards.run(
            self.stage,
            folder,
            make=self.make,
            write=lambda path, found, origin: write_json(path, {"ids": found, **origin.__dict__}),
            shards=only,
            max_failed_fraction=fraction,
            **arguments,
        )
        return self.made


def product(folder, shard="00000", stage="segment") -> dict:
    return json.loads(product_path(folder, stage, shard).read_text("utf-8"))


def test_every_shard_is_made_once(folder):
    stage = Stage()
    assert stage.run(folder) == ["00000", "00001", "00002"]
    assert product(folder)["ids"] == ["0.png", "1.png"]
    assert product(folder, "00002")["ids"] == ["4.png"]
    assert stage.run(folder) == []


def test_only_the_named_shards(folder):
    assert Stage().run(folder, only=("00001",)) == ["00001"]
    assert sorted(path.name for path in (folder / "segment").iterdir()) == [
        "00001.failures.parquet",
        "00001.h5",
        "00001.stats.json",
    ]


@pytest.mark.parametrize("name", ["1", "00003", "x"])
def test_a_shard_that_there_is_not(folder, name):
    with pytest.raises(InputError, match=rf"shard must be one of 00000, .*, found {name}"):
        Stage().run(folder, only=(name,))


@pytest.mark.parametrize(
    "changes", [{"options": {"x": 2}}, {"schema": 2}, {"models": {"sam": "0" * 64}}]
)
def test_what_shapes_the_product_makes_it_again(folder, changes):
    stage = Stage()
    stage.run(folder)
    assert stage.run(folder, **changes) == ["00000", "00001", "00002"]
    assert stage.run(folder, **changes) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"options": {"x": 2}},
            r"00000.h5: segment.x must be 1, with which it was made, found 2; set it to that, or"
            r" give --replace to make it again$",
        ),
        ({"options": {"x": 1, "y": 3}}, r"segment.y must be None, with which it was made, found 3"),
        (
            {"models": {"sam": "0" * 64}},
            r"00000.h5: must be made with the weights none, with which it was made, found sam"
            r" \(000000000000\); give those, or --replace to make it again$",
        ),
    ],
)
def test_shards_of_other_options_are_not_replaced_unasked(folder, changes, message):
    stage = Stage()
    stage.run(folder, only=("00000",))
    for only in ((), ("00000",), ("00002",)):  # nor is a shard put beside one of other options
        with pytest.raises(InputError, match=message) as caught:
            stage.run(folder, only=only, replace=False, **changes)
        assert "\n" not in str(caught.value)
    assert stage.made == []
    assert product(folder)["options"] == {"x": 1}
    assert stage.run(folder, replace=False) == ["00001", "00002"]
    assert stage.run(folder, replace=True, **changes) == ["00000", "00001", "00002"]


def test_a_shard_of_another_version_can_be_replaced(folder, monkeypatch):
    stage = Stage()
    stage.run(folder)
    monkeypatch.setitem(VERSIONS, "segment", VERSIONS["segment"] + 1)
    assert stage.run(folder, replace=False, options={"x": 2}) == ["00000", "00001", "00002"]


def test_a_new_version_of_the_stage_makes_it_again(folder, monkeypatch):
    stage = Stage()
    stage.run(folder)
    monkeypatch.setitem(VERSIONS, "segment", VERSIONS["segment"] + 1)
    assert stage.run(folder) == ["00000", "00001", "00002"]


def test_only_shards_with_other_images_are_made_again(folder, make_manifest):
    stage = Stage()
    stage.run(folder)
    names = [f"{i}.png" for i in range(5)]
    digests = ["0" * 64, "0" * 64, "0" * 64, "1" * 64, "0" * 64]
    make_manifest(folder, names, shard_size=2, sha256=digests, mos=[1.0] * 5)
    assert stage.run(folder) == ["00001"]


@pytest.mark.parametrize("suffix", [".h5", ".failures.parquet", ".stats.json"])
def test_a_missing_file_makes_the_shard_again(folder, suffix):
    stage = Stage()
    stage.run(folder)
    (folder / f"segment/00001{suffix}").unlink()
    assert stage.run(folder) == ["00001"]


def test_another_input_makes_it_again(folder):
    inputs = {"regions": "segment"}
    with pytest.raises(InputError, match=r"00000.h5: no such file; run the segment stage first"):
        Stage("caption").run(folder, inputs=inputs)
    Stage().run(folder)
    captions = Stage("caption")
    assert captions.run(folder, inputs=inputs) == ["00000", "00001", "00002"]
    Stage().run(folder, only=("00001",), options={"x": 2})
    assert captions.run(folder, inputs=inputs) == ["00001"]


@pytest.mark.parametrize("change", ["an image less", "another picture"])
def test_an_input_of_other_images_than_the_manifest_lists(folder, make_manifest, change):
    inputs = {"regions": "segment"}
    Stage().run(folder)
    captions = Stage("caption")
    assert captions.run(folder, inputs=inputs) == ["00000", "00001", "00002"]
    names = [f"{i}.png" for i in range(5)]
    if change == "an image less":
        make_manifest(folder, [*names[:3], names[4]], shard_size=2)
    else:
        digests = ["0" * 64, "0" * 64, "0" * 64, "1" * 64, "0" * 64]
        make_manifest(folder, names, shard_size=2, sha256=digests)
    message = r"segment/00001.h5: made from another manifest file .*; run the segment stage again$"
    with pytest.raises(InputError, match=message):
        captions.run(folder, inputs=inputs)
    assert captions.made == []
    Stage().run(folder)
    assert "00001" in captions.run(folder, inputs=inputs)


def test_an_input_that_is_not_finished(folder):
    Stage().run(folder)
    (folder / "segment/00001.stats.json").unlink()
    message = r"segment/00001.h5: must be finished, found no record .*; run the segment stage again"
    with pytest.raises(InputError, match=message):
        Stage("caption").run(folder, inputs={"regions": "segment"})


def test_failures_are_recorded(folder):
    assert Stage(bad=("1.png",)).run(folder, fraction=0.5) == ["00000", "00001", "00002"]
    assert product(folder)["ids"] == ["0.png"]
    assert failures.read(folder / "segment/00000.failures.parquet").to_pylist() == [
        {"image": "1.png", "stage": "segment", "reason": "blank"}
    ]
    assert failures.read(folder / "segment/00001.failures.parquet").num_rows == 0


def test_too_many_failures_publish_nothing(folder):
    message = (
        r"00000.h5: the fraction of failed images must not exceed 0.49"
        r" \(max_failed_fraction\), found 1 of 2 \(1.png: blank\)"
    )
    with pytest.raises(InputError, match=message):
        Stage(bad=("1.png",)).run(folder, fraction=0.49)
    assert not (folder / "segment").exists()


def test_other_errors_are_not_swallowed(folder):
    def broken(shard):
        with shard.record_failure("0.png"):
            raise ZeroDivisionError

    stage = Stage()
    stage.make = broken
    with pytest.raises(ZeroDivisionError):
        stage.run(folder)


def test_statistics(folder):
    Stage(bad=("0.png",)).run(folder, fraction=0.5)
    stats = json.loads((folder / "segment/00000.stats.json").read_text("utf-8"))
    assert (stats["images"], stats["failed"], stats["found"]) == (2, 1, 1)
    assert stats["ended"] >= stats["started"]
    assert stats["images_per_s"] > 0
    assert stats["cpu_s"] >= 0


def test_the_digest_follows_images_and_bytes_not_scores():
    def digest(**columns):
        return shards.images_digest(pa.table({"image_id": ["a"], "sha256": ["0"]} | columns))

    assert digest(mos=[1]) == digest(mos=[2])
    assert len({digest(), digest(image_id=["b"]), digest(sha256=["1"])}) == 3


def test_the_provenance_names_what_was_read(folder):
    Stage().run(folder)
    images, _ = manifest.read(folder / "manifest.parquet", "00000")
    found = product(folder)
    assert (found["product"], found["stage"]) == ("regions", "segment")
    assert found["inputs"] == {"manifest": shards.images_digest(images)}
