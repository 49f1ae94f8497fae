"""The whole way from a shard's images to captions, against a stand-in for the server."""

import base64
import json
import shutil
import sqlite3
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from rsfiqa.caption import stage as caption
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.vlm import captioner as vlm
from rsfiqa.captioners.vlm.cache import ResponseCache
from rsfiqa.embed import stage as embed
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.errors import InputError
from rsfiqa.products import captions, embeddings, manifest, regions
from rsfiqa.products.paths import product_path, stats_path
from rsfiqa.runtime import shards
from rsfiqa.vocabulary import RATINGS
from tests.support.completion_server import GOOD, MODEL, Server, completion
from tests.support.pipeline import BROKEN, made

SHARD = "00000"


@pytest.fixture
def folder(tmp_path_factory, tmp_path):
    """A data set's folder with regions of a few small pictures, without captions."""
    copy = shutil.copytree(made(tmp_path_factory) / "tiny", tmp_path / "tiny")
    shutil.rmtree(copy / "caption")
    return copy


def options(*servers: Server, **changes) -> CaptionOptions:
    endpoints = tuple(server.url for server in servers)
    usual = {"model": MODEL, "patience": 5.0, "timeout": 5.0, "concurrency": 4}
    return CaptionOptions(backend="vllm", endpoints=endpoints, **usual | changes)


def run(folder, *servers: Server, **changes):
    """Captions of one shard, and its statistics."""
    caption.run(folder, options(*servers, **changes), max_failed_fraction=0.5, only=(SHARD,))
    path = product_path(folder, "caption", SHARD)
    return captions.read(path)[0].to_pylist(), json.loads(stats_path(path).read_text("utf-8"))


def images_of(body: dict) -> list[str]:
    parts = body["messages"][1]["content"]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def test_every_region_is_asked_once_and_read(folder):
    with Server() as server:
        rows, stats = run(folder, server)
    assert len(rows) == len(server.bodies) == stats["regions"] > 12
    assert rows[0] | {"image_id": "", "raw": ""} == {
        "image_id": "",
        "region": 0,
        "content": "a wall",
        "color": 4,
        "noise": 2,
        "artifact": 5,
        "blur": 3,
        "overall": 3,
        **{
            f"{name}_expected": float(level)
            for name, level in zip(RATINGS, (4, 2, 5, 3, 3), strict=True)
        },
        "text": "a wall with strong noise, slight blur. Overall fair.",
        "distortions": [
            {"family": "noise", "severity": 4},
            {"family": "blur", "severity": 2},
        ],
        "raw": "",
        "status": "ok",
    }
    assert json.loads(rows[0]["raw"]) == GOOD
    assert BROKEN not in {row["image_id"] for row in rows}
    assert (stats["cached_fraction"], stats["failed_regions"], stats["from_store"]) == (0.75, 0, 0)


def numbers(body: dict) -> int:
    """Of how many regions a request wants to know."""
    return len(body["response_format"]["json_schema"]["schema"]["required"])


def test_one_request_for_all_regions_of_an_image(folder):
    def respond(body, number):
        return completion(regions=numbers(body), overall="poor")

    with Server(respond) as server:
        rows, stats = run(folder, server, prompt="image", max_tokens=100)
    per_image = Counter(row["image_id"] for row in rows)
    assert len(server.bodies) == len(per_image) == stats["attempts"] < len(rows)
    assert sorted(map(numbers, server.bodies)) == sorted(per_image.values())
    assert all(body["max_tokens"] == 100 * numbers(body) for body in server.bodies)
    assert [row["content"] for row in rows] == [f"wall {row['region'] + 1}" for row in rows]
    assert {(row["overall"], row["overall_expected"], row["noise"]) for row in rows} == {(2, 2, 2)}
    assert json.loads(rows[0]["raw"]) == GOOD | {"content": "wall 1", "overall": "poor"}


def test_an_answer_that_leaves_a_region_out_fails_all_of_its_image(folder):
    def respond(body, number):
        return completion(regions=numbers(body) - 1 or 2)

    with Server(respond) as server:
        rows, stats = run(folder, server, prompt="image", attempts=2)
    assert {row["status"] for row in rows} == {"failed"}
    assert stats["failed_regions"] == len(rows)


def test_servers_are_asked_for_as_much_as_may_come_before_work(folder):
    with Server() as first, Server() as second:
        run(folder, first, second, max_pixels=10_000)
    for server in (first, second):
        (body,) = server.checks
        assert [len(images_of(body)), body["max_tokens"]] == [2, 300]


def test_a_server_that_cannot_take_what_may_come(folder):
    wrong = r"must answer about two pictures of 10000 pixels .*HTTP 400: too long by far; lower"
    with Server(lambda body, number: 400) as server, pytest.raises(InputError, match=wrong):
        run(folder, server, max_pixels=10_000)
    assert server.bodies == []


def test_a_request(folder):
    with Server() as server:
        run(folder, server, max_tokens=99, temperature=0.5)
    body = server.bodies[0]
    assert (body["model"], body["max_tokens"], body["temperature"]) == (MODEL, 99, 0.5)
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["logprobs"] is True
    assert body["seed"] == 1
    for uri in images_of(body):
        assert base64.b64decode(uri.split(",")[1]).startswith(b"\x89PNG")


def test_an_image_is_asked_alone_first_then_its_other_regions(folder):
    """So that the server has its prefix by then; the prefix is the same to the byte."""
    with Server(delay=0.02) as server:
        run(folder, server, concurrency=1)
    order = [images_of(body)[0] for body in server.bodies]
    counts = Counter(order)
    starts = [order.index(whole) for whole in counts]
    assert len({json.dumps(body["messages"][0]) for body in server.bodies}) == 1
    assert server.most == 1
    assert [order[start : start + counts[order[start]]] for start in starts] == [
        [order[start]] * counts[order[start]] for start in starts
    ]


def test_no_more_requests_are_under_way_than_allowed_and_servers_share_them(folder):
    with Server(delay=0.02) as first, Server(delay=0.02) as second:
        run(folder, first, second, concurrency=2)
    assert max(first.most, second.most) <= 4
    assert 1 < first.most + second.most <= 4
    assert min(len(first.bodies), len(second.bodies)) > 0.2 * len(first.bodies + second.bodies)


def test_busy_servers_are_asked_again(folder):
    def respond(body, number):
        return (429, 503, 500)[number % 3] if 0 < number < 7 else completion()

    with Server(respond) as server:
        rows, stats = run(folder, server, patience=60.0)
    assert {row["status"] for row in rows} == {"ok"}
    assert stats["attempts"] == len(rows)  # a busy server costs no attempt
    assert len(server.bodies) == len(rows) + 6


@pytest.mark.parametrize(
    ("bad", "raw"),
    [
        (completion("{", "length"), "{"),
        (completion(""), ""),
        (completion("no JSON"), "no JSON"),
        (completion(overall="great"), json.dumps(GOOD | {"overall": "great"})),
    ],
)
def test_unusable_answers_are_asked_again_with_another_seed_then_fail(folder, bad, raw):
    def respond(body, number):
        return bad if images_of(body)[1] == spoiled else completion()

    with Server() as server:
        run(folder, server, concurrency=1)
    spoiled = images_of(server.bodies[3])[1]
    asked = [images_of(body)[1] for body in server.bodies].count(spoiled)
    shutil.rmtree(folder / "caption")
    with Server(respond) as server:
        rows, stats = run(folder, server, attempts=2)
    failed = [row for row in rows if row["status"] == "failed"]
    assert len(failed) == stats["failed_regions"] == asked
    for row in failed:
        assert row["raw"] == raw
        assert row["overall"] is row["overall_expected"] is None
        assert (row["text"], row["distortions"]) == ("", [])
    seeds = [body["seed"] for body in server.bodies if images_of(body)[1] == spoiled]
    assert sorted(seeds) == [1] * asked + [2] * asked


def test_a_failed_caption_has_a_vector_that_says_nothing(folder):
    with Server(lambda body, number: completion("no") if number == 1 else completion()) as server:
        rows, _ = run(folder, server, attempts=1)
    embed.run(folder, EmbedOptions(), max_failed_fraction=1, only=(SHARD,))
    vectors = embeddings.read(product_path(folder, "embed", SHARD))[0].vectors
    lengths = np.linalg.norm(vectors.astype(float), axis=1)
    expected = [row["status"] == "ok" for row in rows]
    np.testing.assert_allclose(lengths, expected, atol=1e-3)


def test_a_request_that_is_refused_fails_its_region_alone(folder):
    with Server(
        lambda body, number: 400 if body["seed"] and number == 1 else completion()
    ) as server:
        rows, stats = run(folder, server)
    assert stats["failed_regions"] == 1
    assert len(server.bodies) == len(rows)  # it is not asked again


def test_answers_are_not_asked_for_twice(folder):
    with Server() as server:
        before, _ = run(folder, server)
        product_path(folder, "caption", SHARD).unlink()
        after, stats = run(folder, server)
    assert after == before
    assert len(server.bodies) == len(before) == stats["from_store"]


def test_what_was_answered_before_the_servers_went_away_is_kept(folder):
    with Server(lambda body, number: completion() if number <= 5 else 503) as server:
        with pytest.raises(InputError, match=r"within 0.5 s .*found HTTP 503; what was"):
            run(folder, server, patience=0.5, concurrency=1)
        assert not product_path(folder, "caption", SHARD).exists()
    with Server() as server:
        rows, stats = run(folder, server)
    assert stats["from_store"] == 5
    assert len(server.bodies) == len(rows) - 5


def test_the_same_bytes_in_whatever_order_answers_come(folder):
    made = []
    for concurrency, delay in ((1, 0.0), (8, 0.005)):
        with Server(delay=delay) as server:
            run(folder, server, concurrency=concurrency)
        path = product_path(folder, "caption", SHARD)
        made.append(path.read_bytes())
        shutil.rmtree(folder / "caption")
    assert made[0] == made[1]


def test_an_endpoint_that_is_down_takes_nothing_from_the_others(folder):
    """After the check, that is; a refused connection has the fewest requests under way."""
    with Server() as first, Server() as second:
        captioner = vlm.VLMCaptioner(options(first, second, patience=2.0), {}, folder / "log")
        captioner.make_ready(1)
        first.close()
        shard = shards.Shard(
            folder,
            SHARD,
            "caption",
            manifest.read(folder / "manifest.parquet", SHARD)[0].to_pylist(),
        )
        captioner.caption_shard(shard)
    assert shard.counts["failed_regions"] == 0
    assert len(second.bodies) == shard.counts["regions"]


@pytest.mark.parametrize("status", [402, 404])
def test_a_service_that_answers_nobody_ends_the_job(folder, status):
    with (
        Server(lambda body, number: status if number == 3 else completion()) as server,
        pytest.raises(InputError, match=rf"must answer, found HTTP {status}"),
    ):
        run(folder, server)
    assert not product_path(folder, "caption", SHARD).exists()


def test_errors_of_proxies_are_worth_asking_again(folder):
    with Server(lambda body, number: 529 if number == 2 else completion()) as server:
        _, stats = run(folder, server)
    assert stats["failed_regions"] == 0


def test_answers_that_cannot_be_kept_are_no_loss(folder, monkeypatch):
    """The first write fails: what was answered by then is not forgotten, and the job ends."""

    def full(self, answers):
        raise sqlite3.OperationalError("database or disk is full")

    with Server() as server:
        with monkeypatch.context() as patch:
            patch.setattr(ResponseCache, "put", full)
            with pytest.raises((InputError, sqlite3.OperationalError), match="disk is full"):
                run(folder, server)
        asked_before = len(server.bodies)
        rows, _ = run(folder, server)
    assert {row["status"] for row in rows} == {"ok"}
    assert asked_before < len(rows)  # it did not go on asking in vain


def test_equal_images_are_asked_about_once(folder):
    table, _ = manifest.read(folder / "manifest.parquet")
    with Server() as server:
        shard = shards.Shard(folder, SHARD, "caption", table.to_pylist())
        captioner = vlm.VLMCaptioner(options(server), {}, folder / "log")
        reader = regions.Reader(shard.path_of("segment"))
        (first, *_) = captioner.wanted(shard, reader)
        twin = replace(first)
        captioner.wanted = lambda *_: [first, twin]
        captioner.caption_shard(shard)
    assert len(server.bodies) == len(first.keys)


def test_a_key_is_sent(folder, monkeypatch):
    monkeypatch.setenv("RSFIQA_API_KEY", "secret")
    with Server(key="secret") as server:
        rows, _ = run(folder, server)
    assert rows
    assert "secret" not in product_path(folder, "caption", SHARD).read_bytes().decode("latin-1")


def test_a_wrong_key(folder, monkeypatch):
    monkeypatch.setenv("RSFIQA_API_KEY", "wrong")
    with (
        Server(key="secret") as server,
        pytest.raises(InputError, match=r"HTTP 401, the key is not accepted; set the env"),
    ):
        run(folder, server)


def test_a_model_that_is_not_served(folder):
    with (
        Server() as server,
        pytest.raises(InputError, match=r"must serve no_such \(caption.model\), found tiny; name"),
    ):
        run(folder, server, model="no_such")


def test_an_endpoint_that_is_not_there(folder):
    nowhere = CaptionOptions(backend="vllm", model=MODEL, endpoints=("http://127.0.0.1:9/v1",))
    with pytest.raises(InputError, match=r"^http://127.0.0.1:9/v1: must list its models .*check"):
        caption.run(folder, nowhere, max_failed_fraction=0)


def test_a_model_must_be_named(folder):
    with pytest.raises(InputError, match=r"caption.model: must be given for the backend vllm"):
        caption.run(folder, CaptionOptions(backend="vllm"), max_failed_fraction=0)
