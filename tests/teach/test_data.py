import base64
import json
import shutil
from collections import Counter

import numpy as np
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
from tests.teach.conftest import make


def files(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".parquet"
    }


def test_sources_are_split_before_anything_is_distorted(made):
    parts = json.loads((made / "data.json").read_text())["sources"]
    assert parts["test"] == ["kodak/03.png"]
    assert sorted(parts["train"] + parts["validation"]) == ["kodak/01.png", "kodak/02.png"]
    for part, names in parts.items():
        found = examples.read(made / f"{part}.jsonl")
        assert {example.source for example in found} == set(names)


def test_of_the_views_one_in_five_is_pristine(made):
    views = {(e.source, e.images[0], e.kind) for e in examples.read(made / "train.jsonl")}
    assert Counter(kind for _, _, kind in views) == {"pristine": 1, "global": 2, "local": 2}


def test_the_test_has_single_distortions_and_none(made):
    found = examples.read(made / "test.jsonl")
    assert len(found) == 65
    assert Counter(len(example.distortions) for example in found) == {1: 60, 0: 5}


def test_answers_are_of_the_schema_and_follow_the_table(made):
    for example in examples.read(made / "train.jsonl"):
        (text,) = example.messages[-1]["content"]
        (answer,) = read_answers(text["text"], "stop")
        assert set(answer.distortions) == set(example.distortions)
        wanted = {name: ITU_LEVELS[r - 1] for name, r in ratings_of(example.distortions).items()}
        assert {name: getattr(answer, name) for name in RATINGS} == wanted


def test_the_prompt_is_the_one_that_is_sent(made):
    """Messages and pictures, put together again, are the request of the caption stage."""
    for example in examples.read(made / "train.jsonl")[:4]:
        image, labels = examples.read_picture(made, example)
        cut = prompt.cut_out(image, labels, example.region)
        uris = [prompt.picture(each, 1_003_520) for each in (image, cut)]
        for uri, path in zip(uris, example.images, strict=True):
            assert base64.b64decode(uri.split(",")[1]) == (made / path).read_bytes()
        pictures = iter(uris)
        system, user = example.messages[:2]
        sent = [
            {"role": "system", "content": system["content"][0]["text"]},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": next(pictures)}}
                    if part["type"] == "image"
                    else part
                    for part in user["content"]
                ],
            },
        ]
        assert sent == prompt.region_messages(*uris)


def test_the_same_twice_and_after_a_stop(made, kodak, tmp_path):
    shutil.copytree(made, tmp_path / "a")
    (tmp_path / "a/sources/kodak/01.png/source.json").unlink()
    (tmp_path / "a/train.jsonl").unlink()
    (tmp_path / "a/sources/kodak/01.png/00000.png").write_bytes(b"cut short")
    untouched = tmp_path / "a/sources/kodak/03.png/00000.png"
    before = untouched.stat().st_mtime_ns
    make(tmp_path / "a", kodak)
    assert files(tmp_path / "a") == files(made)
    assert untouched.stat().st_mtime_ns == before


def test_only_a_part_and_another_seed(made, kodak, tmp_path):
    make(tmp_path, kodak, seed=1, part=("train",))
    assert not (tmp_path / "test.jsonl").exists()
    assert len(examples.read(tmp_path / "train.jsonl")) == 15
    assert files(tmp_path)["train.jsonl"] != files(made)["train.jsonl"]


def test_varied_are_photographs_to_teach_by_not_those_of_the_test(made, kodak, tmp_path):
    make(tmp_path, kodak, vary=True)
    varied, plain = files(tmp_path), files(made)
    assert varied["test.jsonl"] == plain["test.jsonl"]
    pictures = [name for name in plain if name.endswith(".png")]
    same = {name for name in pictures if varied.get(name) == plain[name]}
    assert {name for name in pictures if name.startswith("sources/kodak/03.png/")} <= same
    assert len(same) < len(pictures)
    for example in examples.read(tmp_path / "train.jsonl"):
        image, labels = examples.read_picture(tmp_path, example)
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
        make(tmp_path / "out", prepared(tmp_path / "p", tmp_path / "r"))
    assert not (tmp_path / "out").exists()


def test_the_same_photograph_in_two_parts_is_refused(kodak, tmp_path):
    (tmp_path / "p").mkdir()
    shutil.copy(kodak.parents[1] / "03.png", tmp_path / "p/copy.png")
    with pytest.raises(InputError, match=r"must lie in one part, found the same bytes in .*copy"):
        make(tmp_path / "out", prepared(tmp_path / "p", tmp_path / "a"), kodak)


def test_no_pristine_images(kodak, tmp_path, make_manifest):
    folder = make_manifest(tmp_path / "set", ["a.png"], severity=[3])
    with pytest.raises(InputError, match=r"source: must hold pristine images, found none in .*set"):
        make(tmp_path / "out", folder)


def test_photographs_that_were_not_segmented(tmp_path, make_manifest):
    folder = make_manifest(tmp_path / "set", ["a.png"], width=[64], height=[64])
    with pytest.raises(InputError, match=r"segment/00000.h5: no such file; run the segment stage"):
        make(tmp_path / "out", folder)


def test_a_photograph_that_cannot_be_read_is_a_failure(kodak, tmp_path):
    shutil.copytree(kodak.parents[1], tmp_path / "k", ignore=shutil.ignore_patterns("results"))
    options = PrepareOptions(layout="kodak", root=str(tmp_path / "k"))
    prepare.run(tmp_path / "r", options, shard_size=9, max_failed_fraction=0, seed=0)
    segment.run(tmp_path / "r", SegmentOptions(), max_failed_fraction=0)
    (tmp_path / "k/01.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"data.json: .*1 of 3"):
        make(tmp_path / "out", tmp_path / "r", views=1)
    make(tmp_path / "out", tmp_path / "r", views=1, max_failed_fraction=0.5, validation_fraction=0)
    (lost,) = pq.read_table(tmp_path / "out/data.failures.parquet").to_pylist()
    assert lost["image"] == "r/01.png"
    assert {one.source for one in examples.read(tmp_path / "out/train.jsonl")} == {"r/02.png"}
    assert len(examples.read(tmp_path / "out/test.jsonl")) == 65


@pytest.mark.parametrize(("share", "part"), [(0.0, "test"), (0.9, "train")])
def test_a_part_without_photographs_is_refused(tmp_path, fraction, part):
    (tmp_path / "p").mkdir()
    for i in range(2):
        Image.effect_noise((80, 80), 40 + i).save(tmp_path / f"p/{i}.png")
    folder = prepared(tmp_path / "p", tmp_path / "r")
    message = (
        rf"teach.data.test_fraction: must leave photographs for the part {part}, found none of 2"
    )
    with pytest.raises(InputError, match=message):
        make(tmp_path / "out", folder, test_fraction=fraction)
    assert not (tmp_path / "out").exists()


def test_an_official_test_leaves_the_other_sources_to_teach_by(kodak, tmp_path):
    (tmp_path / "p").mkdir()
    Image.effect_noise((80, 80), 40).save(tmp_path / "p/a.png")
    own = prepared(tmp_path / "p", tmp_path / "own")
    make(tmp_path / "out", kodak, own, test_fraction=0.9, views=1, validation_fraction=0)
    parts = json.loads((tmp_path / "out/data.json").read_text())["sources"]
    assert parts["test"] == ["kodak/03.png"]
    assert parts["train"] == ["kodak/01.png", "kodak/02.png", "own/a.png"]


def test_wide_label_maps_are_kept(tmp_path):
    labels = np.arange(20 * 20, dtype=np.uint16).reshape(20, 20)
    examples.write_labels(tmp_path / "a.png", labels)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "a.png")), labels)
