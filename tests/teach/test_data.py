import base64
import json
import shutil
from collections import Counter
from hashlib import sha256

import pyarrow.parquet as pq
import pytest
from PIL import Image

from rsfiqa.captioners.vlm import prompt
from rsfiqa.captioners.vlm.answer import read_answers
from rsfiqa.errors import InputError
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.segment import stage as segment
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.teach import examples
from rsfiqa.teach.ratings import ratings_of
from rsfiqa.vocabulary import ITU_LEVELS, RATINGS
from tests.support.teach import make_examples


def files(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".parquet"
    }


def test_sources_are_split_before_anything_is_distorted(folder):
    parts = json.loads((folder / "data.json").read_text())["sources"]
    assert parts["test"] == ["kodak/03.png"]
    assert sorted(parts["train"] + parts["validation"]) == ["kodak/01.png", "kodak/02.png"]
    for part, names in parts.items():
        lines = examples.read(folder / f"{part}.jsonl")
        assert {example.source for example in lines} == set(names)


def test_one_view_in_five_is_pristine(folder):
    views = {(e.source, e.images[0], e.kind) for e in examples.read(folder / "train.jsonl")}
    assert Counter(kind for _, _, kind in views) == {"pristine": 1, "global": 2, "local": 2}


def test_the_test_part_has_single_distortions_and_none(folder):
    lines = examples.read(folder / "test.jsonl")
    assert len(lines) == 65
    assert Counter(len(example.distortions) for example in lines) == {1: 60, 0: 5}


def test_answers_fit_the_schema_and_follow_from_the_distortions(folder):
    for example in examples.read(folder / "train.jsonl"):
        (text,) = example.messages[-1]["content"]
        (answer,) = read_answers(text["text"], "stop")
        assert set(answer.distortions) == set(example.distortions)
        ratings = ratings_of(example.distortions)
        levels = {name: ITU_LEVELS[rating - 1] for name, rating in ratings.items()}
        assert {name: getattr(answer, name) for name in RATINGS} == levels


def test_messages_are_the_request_of_the_vlm_captioner(folder):
    """Messages and images, joined again, are what the VLM captioner sends."""
    for example in examples.read(folder / "train.jsonl")[:4]:
        image, labels = examples.read_image(folder, example)
        cut = prompt.cut_out(image, labels, example.region)
        uris = [prompt.picture(each, 1_003_520) for each in (image, cut)]
        for uri, path in zip(uris, example.images, strict=True):
            assert base64.b64decode(uri.split(",")[1]) == (folder / path).read_bytes()
        images = iter(uris)
        system, user = example.messages[:2]
        sent = [
            {"role": "system", "content": system["content"][0]["text"]},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": next(images)}}
                    if part["type"] == "image"
                    else part
                    for part in user["content"]
                ],
            },
        ]
        assert sent == prompt.region_messages(*uris)


def test_a_resumed_run_writes_the_same_bytes(folder, photographs, tmp_path):
    shutil.copytree(folder, tmp_path / "a")
    (tmp_path / "a/sources/kodak/01.png/source.json").unlink()
    (tmp_path / "a/train.jsonl").unlink()
    (tmp_path / "a/sources/kodak/01.png/00000.png").write_bytes(b"cut short")
    untouched = tmp_path / "a/sources/kodak/03.png/00000.png"
    before = untouched.stat().st_mtime_ns
    make_examples(tmp_path / "a", photographs)
    assert files(tmp_path / "a") == files(folder)
    assert untouched.stat().st_mtime_ns == before


def test_only_a_part_and_another_seed(folder, photographs, tmp_path):
    make_examples(tmp_path, photographs, seed=1, parts=("train",))
    assert not (tmp_path / "test.jsonl").exists()
    assert len(examples.read(tmp_path / "train.jsonl")) == 15
    assert files(tmp_path)["train.jsonl"] != files(folder)["train.jsonl"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"seed": 1}, "seed 0, now 1"),
        ({"test_fraction": 0.4}, "test_fraction 0.1, now 0.4"),
        ({"validation_fraction": 0}, "validation_fraction 0.5, now 0"),
        ({"max_pixels": 4096}, "max_pixels 1003520, now 4096"),
    ],
)
def test_a_part_is_not_made_beside_others_of_another_division(
    folder, photographs, tmp_path, changes, found
):
    copy = shutil.copytree(folder, tmp_path / "a")
    with pytest.raises(
        InputError, match=rf"validation.jsonl: must be made as .* found {found}\b.*"
    ):
        make_examples(copy, photographs, parts=("train",), **changes)
    assert files(copy) == files(folder)


def test_a_part_is_not_made_beside_others_of_other_photographs(folder, photographs, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "a")
    (tmp_path / "p").mkdir()
    Image.effect_noise((80, 80), 40).save(tmp_path / "p/a.png")
    own = prepared(tmp_path / "p", tmp_path / "own")
    found = r"found datasets \['kodak'\], now \['kodak', 'own'\]; make all parts"
    with pytest.raises(InputError, match=found):
        make_examples(copy, photographs, own, parts=("train",))
    renamed = prepared(tmp_path / "p", tmp_path / "kodak")  # of the same name
    with pytest.raises(InputError, match="found other photographs or regions; make all parts"):
        make_examples(copy, renamed, parts=("train",))
    (copy / "data.json").unlink()
    with pytest.raises(InputError, match=r"found no record of it in data.json; make all parts"):
        make_examples(copy, photographs, parts=("train",))


def test_entries_of_parts_that_are_not_made_are_kept(folder, photographs, tmp_path):
    for part in ("test", "validation", "train"):
        make_examples(tmp_path, photographs, parts=(part,))
    assert files(tmp_path) == files(folder)


def test_all_parts_are_made_again_with_another_seed(folder, photographs, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "a")
    make_examples(copy, photographs, seed=1, views=1)
    parts = json.loads((copy / "data.json").read_text())["sources"]
    for part, names in parts.items():
        assert {one.source for one in examples.read(copy / f"{part}.jsonl")} == set(names)


def test_examples_of_other_images_differ(photographs, tmp_path):
    """So that a model or a test of other images is noticed, though the texts are the same."""
    for name, max_pixels in (("a", 1_003_520), ("b", 4096)):
        make_examples(tmp_path / name, photographs, views=1, max_pixels=max_pixels)
    (ours, other) = (examples.read(tmp_path / name / "test.jsonl") for name in "ab")
    assert [one.messages for one in ours] == [one.messages for one in other]
    assert all(one.sha256 != two.sha256 for one, two in zip(ours, other, strict=True))
    first = ours[0]
    content = b"".join(
        (tmp_path / "a" / name).read_bytes() for name in (first.labels, *first.images)
    )
    assert first.sha256 == sha256(content).hexdigest()


def test_augmentation_changes_training_photographs_alone(folder, photographs, tmp_path):
    make_examples(tmp_path, photographs, augment=True)
    augmented, plain = files(tmp_path), files(folder)
    assert augmented["test.jsonl"] == plain["test.jsonl"]
    images = [name for name in plain if name.endswith(".png")]
    same = {name for name in images if augmented.get(name) == plain[name]}
    assert {name for name in images if name.startswith("sources/kodak/03.png/")} <= same
    assert len(same) < len(images)
    for example in examples.read(tmp_path / "train.jsonl"):
        image, labels = examples.read_image(tmp_path, example)
        assert image.shape[:2] == labels.shape
        assert example.region in labels


def prepared(root, folder, **options):
    chosen = PrepareOptions(layout="folder", root=str(root), **options)
    prepare.run(folder, chosen, shard_size=9, max_failed_fraction=0, seed=0)
    segment.run(folder, SegmentOptions(), max_failed_fraction=0)
    return folder


def test_images_that_are_too_small_are_refused_before_work(tmp_path):
    (tmp_path / "p").mkdir()
    Image.new("RGB", (80, 63)).save(tmp_path / "p/a.png")
    with pytest.raises(InputError, match=r"a.png: sides must have 64 pixels or more, found 80 x 6"):
        make_examples(tmp_path / "out", prepared(tmp_path / "p", tmp_path / "r"))
    assert not (tmp_path / "out").exists()


def test_the_same_photograph_in_two_parts_is_refused(photographs, tmp_path):
    (tmp_path / "p").mkdir()
    shutil.copy(photographs.parents[1] / "03.png", tmp_path / "p/copy.png")
    with pytest.raises(InputError, match=r"must lie in one part, found the same bytes in .*copy"):
        make_examples(tmp_path / "out", prepared(tmp_path / "p", tmp_path / "a"), photographs)


def test_no_pristine_images(photographs, tmp_path, make_manifest):
    folder = make_manifest(tmp_path / "set", ["a.png"], severity=[3])
    with pytest.raises(InputError, match=r"source: must hold pristine images, found none in .*set"):
        make_examples(tmp_path / "out", folder)


def test_photographs_that_were_not_segmented(tmp_path, make_manifest):
    folder = make_manifest(tmp_path / "set", ["a.png"], width=[64], height=[64])
    with pytest.raises(InputError, match=r"segment/00000.h5: no such file; run the segment stage"):
        make_examples(tmp_path / "out", folder)


def test_a_photograph_that_cannot_be_read_is_a_failure(photographs, tmp_path):
    shutil.copytree(
        photographs.parents[1], tmp_path / "k", ignore=shutil.ignore_patterns("results")
    )
    options = PrepareOptions(layout="kodak", root=str(tmp_path / "k"))
    prepare.run(tmp_path / "r", options, shard_size=9, max_failed_fraction=0, seed=0)
    segment.run(tmp_path / "r", SegmentOptions(), max_failed_fraction=0)
    (tmp_path / "k/01.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"data.json: .*1 of 3"):
        make_examples(tmp_path / "out", tmp_path / "r", views=1)
    few = {"views": 1, "validation_fraction": 0}
    make_examples(tmp_path / "out", tmp_path / "r", max_failed_fraction=0.5, **few)
    make_examples(tmp_path / "out", tmp_path / "r", parts=("test",), **few)
    (lost,) = pq.read_table(tmp_path / "out/data.failures.parquet").to_pylist()
    assert lost["image"] == "r/01.png"
    assert {one.source for one in examples.read(tmp_path / "out/train.jsonl")} == {"r/02.png"}
    assert len(examples.read(tmp_path / "out/test.jsonl")) == 65
    with pytest.raises(InputError, match=r"data.json: .*1 of 3"):
        make_examples(tmp_path / "out", tmp_path / "r", max_pixels=4096, **few)
    assert not [*(tmp_path / "out").glob("*.jsonl")]  # their images have been overwritten


@pytest.mark.parametrize(("fraction", "part"), [(0.0, "test"), (0.9, "train")])
def test_a_part_without_photographs_is_refused(tmp_path, fraction, part):
    (tmp_path / "p").mkdir()
    for i in range(2):
        Image.effect_noise((80, 80), 40 + i).save(tmp_path / f"p/{i}.png")
    folder = prepared(tmp_path / "p", tmp_path / "r")
    message = (
        rf"teach.data.test_fraction: must leave photographs for the part {part}, found none of 2"
    )
    with pytest.raises(InputError, match=message):
        make_examples(tmp_path / "out", folder, test_fraction=fraction)
    assert not (tmp_path / "out").exists()


def test_with_an_official_test_part_other_sources_are_for_training(photographs, tmp_path):
    (tmp_path / "p").mkdir()
    Image.effect_noise((80, 80), 40).save(tmp_path / "p/a.png")
    own = prepared(tmp_path / "p", tmp_path / "own")
    make_examples(
        tmp_path / "out", photographs, own, test_fraction=0.9, views=1, validation_fraction=0
    )
    parts = json.loads((tmp_path / "out/data.json").read_text())["sources"]
    assert parts["test"] == ["kodak/03.png"]
    assert parts["train"] == ["kodak/01.png", "kodak/02.png", "own/a.png"]
