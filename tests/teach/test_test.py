import json
import math

import numpy as np
import pytest
import skimage
from PIL import Image

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.vlm.answer import Distortion
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.teach import examples, test
from rsfiqa.teach.examples import Example, answer_of
from tests.captioners.vlm.test_captioner import options
from tests.support.completion_server import Server, completion


def example(*distortions: tuple[str, int], source: str = "a") -> Example:
    several = tuple(Distortion(family=f, severity=s) for f, s in distortions)
    text = answer_of("a cup", several).model_dump_json()
    answer = {"role": "assistant", "content": [{"type": "text", "text": text}]}
    return Example("a", source, "local", 0, several, "", (), (answer,))


def said(*distortions: tuple[str, int]) -> str:
    return example(*distortions).wanted.model_dump_json()


def test_right_answers():
    asked = [example(), example(("blur", 1)), example(("noise", 5)), example(("blur", 3))]
    found = test.figures(asked, [one.wanted.model_dump_json() for one in asked])
    for name in ("valid_fraction", "family_accuracy", "severity_accuracy", "both_accuracy"):
        assert found[name] == 1
    for rating in ("color", "noise", "artifact", "blur", "overall"):
        assert found[f"{rating}_accuracy"] == 1
    assert found["severity_srcc"] == pytest.approx(1)
    assert found["blur_srcc"] == pytest.approx(1)
    assert found["n"] == 4


def test_figures_by_hand():
    asked = [
        example(),
        example(("blur", 2)),
        example(("noise", 4)),
        example(("noise", 2)),
        example(("pixelation", 5)),
    ]
    texts = [
        said(("noise", 1)),  # nothing is wrong there
        said(("blur", 2)),
        said(("blur", 3), ("noise", 1)),  # the worst counts: another family, one level off
        said(),  # nothing named: two levels off
        '{"content": "cut',
    ]
    found = test.figures(asked, texts)
    assert found["valid_fraction"] == pytest.approx(4 / 5)
    assert found["family_accuracy"] == pytest.approx(1 / 5)
    assert found["family_accuracy_blur"] == 1
    assert found["family_accuracy_none"] == 0
    assert found["severity_accuracy"] == pytest.approx(1 / 4)
    assert found["severity_within_one"] == pytest.approx(2 / 4)
    assert found["both_accuracy"] == pytest.approx(1 / 4)
    assert found["chance_family_accuracy"] == pytest.approx(2 / 5)  # always noise
    assert found["chance_severity_accuracy"] == pytest.approx(2 / 4)  # always 2
    assert found["chance_severity_within_one"] == pytest.approx(3 / 4)  # always 3
    # noise: wanted 5 5 2 3 5, said 4 5 4 5 and an answer that is none
    assert found["noise_accuracy"] == pytest.approx(1 / 5)
    assert found["chance_noise_accuracy"] == pytest.approx(3 / 5)


def test_intervals_are_of_the_photographs():
    """Two of four photographs all right, two all wrong: the share is that of the right ones."""
    asked = [example(("blur", 3), source=f"{i % 4}") for i in range(80)]
    texts = [said(("blur", 3)) if i % 4 < 2 else said(("noise", 1)) for i in range(80)]
    found = test.figures(asked, texts)
    assert found["family_accuracy"] == found["severity_accuracy"] == 0.5
    # of 256 equally likely draws one has no right photograph, 16 + 1 have one at most
    assert (found["family_accuracy_low"], found["family_accuracy_high"]) == (0, 1)
    alone = test.figures(asked[:1], texts[:1])
    assert alone["severity_within_one_low"] == alone["severity_within_one_high"] == 1


def test_one_of_two_distortions_is_enough():
    asked = [example(("blur", 2), ("compression", 4))]
    assert test.figures(asked, [said(("blur", 1))])["family_accuracy"] == 1


def test_the_first_of_equals_is_the_worst():
    text = said(("blur", 2), ("noise", 2))
    assert test.figures([example(("blur", 3))], [text])["family_accuracy"] == 1


def test_the_measured_captioner_answers_in_the_schema(made):
    shown = test.run(made, "test", CaptionOptions(), name="rule_based")
    lines = shown.splitlines()
    assert lines[0].split() == ["test,", "n", "=", "65", "rule_based", "chance"]
    assert lines[1].split() == ["valid_fraction", "1.000", "-"]
    path = made / "tests/measured.test.json"
    kept = json.loads(path.read_text())
    (made / "tests/other.test.json").write_text(path.read_text().replace(kept["examples"], "0"))
    digest = sha256_of(made / "test.jsonl")
    assert test.side_by_side(made / "tests", "test", digest) == shown  # of the same examples alone
    assert kept["n"] == 65
    assert kept["chance_family_accuracy"] == pytest.approx(1 / 13)
    assert kept["chance_severity_accuracy"] == pytest.approx(1 / 5)
    assert kept["chance_severity_within_one"] == pytest.approx(3 / 5)
    answers = (made / "tests/measured.test.jsonl").read_text("utf-8").splitlines()
    ids = [one.id for one in examples.read(made / "test.jsonl")]
    assert [json.loads(line)["id"] for line in answers] == ids


def test_a_test_that_was_broken_off_asks_for_what_is_missing(made, monkeypatch):
    monkeypatch.setattr(test, "AT_ONCE", 10)
    tired = Server(lambda _, number: completion() if number <= 25 else 503)
    with tired, pytest.raises(InputError, match="found HTTP 503"):
        test.run(made, "test", options(tired, patience=0.5, concurrency=1), name="model")
    assert not (made / "tests/model.test.json").exists()
    with Server() as server:
        shown = test.run(made, "test", options(server), name="model")
        assert len(server.bodies) == 65 - 20  # two tens were kept
        assert test.run(made, "test", options(server), name="model") == shown
        assert len(server.bodies) == 65 - 20
        test.run(made, "test", options(server, max_tokens=99), name="model")
        assert len(server.bodies) == 65 - 20 + 65  # other questions
    assert json.loads((made / "tests/model.test.json").read_text())["valid_fraction"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "test.jsonl: no such file; make it with rsfiqa teach data"),
        ("", "test.jsonl: must hold examples, found none; give teach data more sources"),
        ("{\n", "test.jsonl: line 1 must be an example, found Expecting property name"),
        ("{}\n", "test.jsonl: line 1 must be an example, found not an example: 'distortions'"),
    ],
)
def test_files_that_hold_no_examples(tmp_path, content, message):
    if content is not None:
        (tmp_path / "test.jsonl").write_text(content)
    with pytest.raises(InputError) as caught:
        test.run(tmp_path, "test", CaptionOptions(), name="rule_based")
    assert message in str(caught.value)


def test_a_missing_label_map(tmp_path):
    lost = Example("a", "a", "local", 0, (), "lost.png", (), ())
    with pytest.raises(InputError, match=r"lost.png: must be the label map of an example, found"):
        examples.read_picture(tmp_path, lost)


def test_a_region_that_vanished_from_a_reduced_picture(tmp_path):
    Image.fromarray(skimage.data.coffee()[:64, :64]).save(tmp_path / "whole.png")
    labels = np.zeros((256, 256), np.uint16)
    labels[:, 128:] = 2
    Image.fromarray(labels).save(tmp_path / "without.png")
    labels[1, 1] = 1  # lost in 64 pixels
    Image.fromarray(labels).save(tmp_path / "with.png")
    asked = [
        Example("a", "a", "local", 2, (), f"{name}.png", ("whole.png",), ())
        for name in ("with", "without")
    ]
    found, wanted = test.answer_by_measures(tmp_path, asked)
    assert found == wanted
    assert "right" in json.loads(found)["content"]


def test_what_is_not_defined_is_left_out():
    found = test.figures([example(("blur", 3))] * 2, [said(("blur", 3)), said(("blur", 2))])
    assert "blur_srcc" not in found and "severity_srcc" not in found  # of a constant
    assert "family_accuracy_noise" not in found  # none was asked
    assert not any(math.isnan(value) for value in found.values())
