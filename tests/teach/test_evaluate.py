import json

import pytest

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.teach import evaluate, examples
from tests.support.completion_server import MODEL, Server, completion


def vlm(server: Server, **changes: object) -> CaptionOptions:
    usual = {"model": MODEL, "retry_timeout": 5.0, "request_timeout": 5.0, "concurrency": 4}
    return CaptionOptions(backend="vllm", endpoints=(server.url,), **usual | changes)


def test_the_rule_based_captioner_answers_in_the_schema(folder):
    table = evaluate.run(folder, "test", CaptionOptions(backend="rule_based"), name="rule_based")
    lines = table.splitlines()
    assert lines[0].split() == ["test,", "n", "=", "65", "rule_based", "chance"]
    assert lines[1].split() == ["valid_fraction", "1.000", "-"]
    path = folder / "tests/rule_based.test.json"
    figures = json.loads(path.read_text())
    (folder / "tests/other.test.json").write_text(
        path.read_text().replace(figures["examples"], "0")
    )
    digest = sha256_of(folder / "test.jsonl")
    assert evaluate.comparison(folder / "tests", "test", digest) == table  # of these examples alone
    assert figures["n"] == 65
    assert figures["chance_family_accuracy"] == pytest.approx(1 / 13)
    assert figures["chance_severity_accuracy"] == pytest.approx(1 / 5)
    assert figures["chance_severity_within_one"] == pytest.approx(3 / 5)
    answers = (folder / "tests/rule_based.test.jsonl").read_text("utf-8").splitlines()
    ids = [one.id for one in examples.read(folder / "test.jsonl")]
    assert [json.loads(line)["id"] for line in answers] == ids


def test_an_interrupted_test_requests_what_is_missing(folder):
    failing = Server(lambda _, number: completion() if number <= 25 else 503)
    with failing:
        options = vlm(failing, retry_timeout=0.5, concurrency=1)
        with pytest.raises(InputError, match="found HTTP 503"):
            evaluate.run(folder, "test", options, name="model", chunk=10)
    assert not (folder / "tests/model.test.json").exists()
    with Server() as server:
        table = evaluate.run(folder, "test", vlm(server), name="model")
        assert len(server.bodies) == 65 - 20  # two chunks were cached
        assert evaluate.run(folder, "test", vlm(server), name="model") == table
        assert len(server.bodies) == 65 - 20
        evaluate.run(folder, "test", vlm(server, max_tokens=99), name="model")
        assert len(server.bodies) == 65 - 20 + 65  # other requests
    assert json.loads((folder / "tests/model.test.json").read_text())["valid_fraction"] == 1


def test_a_part_without_examples(tmp_path):
    with pytest.raises(InputError, match=r"test.jsonl: no such file; make it with rsfiqa teach"):
        evaluate.run(tmp_path, "test", CaptionOptions(backend="rule_based"), name="rule_based")
