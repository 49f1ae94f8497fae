"""From the images of a shard to captions, against a stand-in for the server."""

import base64
import json
import shutil
import sqlite3
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from rsfiqa.caption import stage as caption
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.vlm.cache import ResponseCache, cache_path
from rsfiqa.captioners.vlm.captioner import VLMCaptioner
from rsfiqa.embed import stage as embed
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.encoders.files import PACKAGED
from rsfiqa.errors import InputError
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import embeddings
from rsfiqa.products.paths import product_path
from rsfiqa.segment import stage as segment
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.vocabulary import RATINGS
from tests.support.captioning import SHARD, pictures_of, run_stage, shard_of, vlm_options
from tests.support.completion_server import GOOD, MODEL, Server, completion
from tests.support.pipeline import BROKEN


def run(folder, *servers: Server, **changes):
    """Captions of one shard, and its statistics."""
    return run_stage(folder, vlm_options(*servers, **changes))


def test_every_region_gets_one_request_and_a_caption(folder):
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
        "text": "a wall with strong noise and slight blur. Overall fair.",
        "distortions": [
            {"family": "noise", "severity": 4},
            {"family": "blur", "severity": 2},
        ],
        "raw": "",
        "status": "ok",
    }
    assert json.loads(rows[0]["raw"]) == GOOD
    assert BROKEN not in {row["image_id"] for row in rows}
    assert (stats["cached_fraction"], stats["failed_regions"], stats["from_cache"]) == (0.75, 0, 0)


def numbers(body: dict) -> int:
    """Number of regions in the answer to a request."""
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


def test_an_answer_without_one_of_its_regions_fails_the_image(folder):
    def respond(body, number):
        return completion(regions=numbers(body) - 1 or 2)

    with Server(respond) as server:
        rows, stats = run(folder, server, prompt="image", attempts=2)
    assert {row["status"] for row in rows} == {"failed"}
    assert stats["failed_regions"] == len(rows)


def test_servers_get_the_largest_possible_request_before_work(folder):
    with Server() as first, Server() as second:
        run(folder, first, second, max_pixels=10_000)
    for server in (first, second):
        (body,) = server.checks
        assert [len(pictures_of(body)), body["max_tokens"]] == [2, 300]


def test_a_server_that_rejects_the_largest_possible_request(folder):
    wrong = r"must respond to two pictures of 10000 pixels .*HTTP 400: too long by far; lower"
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
    for uri in pictures_of(body):
        assert base64.b64decode(uri.split(",")[1]).startswith(b"\x89PNG")


def test_the_first_request_about_an_image_is_sent_alone(folder):
    """So that its prefix is cached for the others; prefixes are equal to the byte."""
    with Server(delay=0.02) as server:
        run(folder, server, concurrency=1)
    order = [pictures_of(body)[0] for body in server.bodies]
    counts = Counter(order)
    starts = [order.index(whole) for whole in counts]
    assert len({json.dumps(body["messages"][0]) for body in server.bodies}) == 1
    assert server.most == 1
    assert [order[start : start + counts[order[start]]] for start in starts] == [
        [order[start]] * counts[order[start]] for start in starts
    ]


def test_requests_are_bounded_and_balanced_over_servers(folder):
    with Server(delay=0.02) as first, Server(delay=0.02) as second:
        run(folder, first, second, concurrency=2)
    assert max(first.most, second.most) <= 4
    assert 1 < first.most + second.most <= 4
    assert min(len(first.bodies), len(second.bodies)) > 0.2 * len(first.bodies + second.bodies)


def test_requests_to_busy_servers_are_retried(folder):
    def respond(body, number):
        return (429, 503, 500)[number % 3] if 0 < number < 7 else completion()

    with Server(respond) as server:
        rows, stats = run(folder, server, retry_timeout=60.0)
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
def test_requests_with_invalid_answers_are_sent_with_another_seed_then_fail(folder, bad, raw):
    def respond(body, number):
        return bad if pictures_of(body)[1] == chosen else completion()

    with Server() as server:
        run(folder, server, concurrency=1)
    chosen = pictures_of(server.bodies[3])[1]
    count = [pictures_of(body)[1] for body in server.bodies].count(chosen)
    shutil.rmtree(folder / "caption")
    with Server(respond) as server:
        rows, stats = run(folder, server, attempts=2)
    failed = [row for row in rows if row["status"] == "failed"]
    assert len(failed) == stats["failed_regions"] == count
    for row in failed:
        assert row["raw"] == raw
        assert row["overall"] is row["overall_expected"] is None
        assert (row["text"], row["distortions"]) == ("", [])
    seeds = [body["seed"] for body in server.bodies if pictures_of(body)[1] == chosen]
    assert sorted(seeds) == [1] * count + [2] * count


def test_a_failed_caption_has_a_vector_that_says_nothing(folder):
    with Server(lambda body, number: completion("no") if number == 1 else completion()) as server:
        rows, _ = run(folder, server, attempts=1)
    embed.run(folder, EmbedOptions(encoder=PACKAGED), max_failed_fraction=1, only=(SHARD,))
    vectors = embeddings.read(product_path(folder, "embed", SHARD))[0].vectors
    lengths = np.linalg.norm(vectors.astype(float), axis=1)
    expected = [row["status"] == "ok" for row in rows]
    np.testing.assert_allclose(lengths, expected, atol=1e-3)


def test_a_rejected_request_fails_its_region_alone(folder):
    with Server(
        lambda body, number: 400 if body["seed"] and number == 1 else completion()
    ) as server:
        rows, stats = run(folder, server)
    assert stats["failed_regions"] == 1
    assert len(server.bodies) == len(rows)  # it is not sent again


def test_cached_responses_need_no_request(folder):
    with Server() as server:
        before, _ = run(folder, server)
        product_path(folder, "caption", SHARD).unlink()
        after, stats = run(folder, server)
    assert after == before
    assert len(server.bodies) == len(before) == stats["from_cache"]


def test_responses_are_cached_when_servers_fail(folder):
    with Server(lambda body, number: completion() if number <= 5 else 503) as server:
        with pytest.raises(InputError, match=r"within 0.5 s .*found HTTP 503; finished resp"):
            run(folder, server, retry_timeout=0.5, concurrency=1)
        assert not product_path(folder, "caption", SHARD).exists()
    with Server() as server:
        rows, stats = run(folder, server)
    assert stats["from_cache"] == 5
    assert len(server.bodies) == len(rows) - 5


def test_the_order_of_responses_does_not_change_the_product(folder):
    contents = []
    for concurrency, delay in ((1, 0.0), (8, 0.005)):
        with Server(delay=delay) as server:
            run(folder, server, concurrency=concurrency)
        path = product_path(folder, "caption", SHARD)
        contents.append(path.read_bytes())
        shutil.rmtree(folder / "caption")
    assert contents[0] == contents[1]


def test_an_endpoint_that_is_down_does_not_slow_the_others(folder):
    """After the check, that is; a refused connection leaves the fewest pending requests."""
    with Server() as first, Server() as second:
        options = vlm_options(first, second, retry_timeout=2.0)
        captioner = VLMCaptioner(options, log=folder / "log")
        captioner.prepare_servers(1)
        first.close()
        shard = shard_of(folder)
        captioner.caption_shard(shard)
    assert shard.counts["failed_regions"] == 0
    assert len(second.bodies) == shard.counts["regions"]


@pytest.mark.parametrize("status", [402, 404])
def test_a_service_that_denies_all_requests_ends_the_job(folder, status):
    with (
        Server(lambda body, number: status if number == 3 else completion()) as server,
        pytest.raises(InputError, match=rf"must answer, found HTTP {status}"),
    ):
        run(folder, server)
    assert not product_path(folder, "caption", SHARD).exists()


def test_errors_of_proxies_are_retried(folder):
    with Server(lambda body, number: 529 if number == 2 else completion()) as server:
        _, stats = run(folder, server)
    assert stats["failed_regions"] == 0


def test_responses_survive_a_full_disk(folder):
    """The first write fails and the job ends; the next run is complete."""
    path = cache_path(shard_of(folder))
    ResponseCache(path).close()
    full = "BEFORE INSERT ON responses BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
    _execute(path, f"CREATE TRIGGER full {full}")
    with Server() as server:
        with pytest.raises(InputError, match="disk is full"):
            run(folder, server)
        sent_before = len(server.bodies)
        _execute(path, "DROP TRIGGER full")
        rows, _ = run(folder, server)
    assert {row["status"] for row in rows} == {"ok"}
    assert sent_before < len(rows)  # it did not go on sending requests in vain


def _execute(path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


@pytest.fixture
def equal(tmp_path):
    """The folder of a data set of two equal pictures with regions, a.png and b.png."""
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    pixels[:24] //= 4
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(tmp_path / "pictures" / name)
    folder = tmp_path / "equal"
    options = PrepareOptions(layout="folder", root=str(tmp_path / "pictures"))
    prepare.run(folder, options, shard_size=7, max_failed_fraction=0.0, seed=0)
    segment.run(folder, SegmentOptions(max_regions=4), max_failed_fraction=0.0)
    return folder


def test_equal_images_need_one_request_for_each_region(equal):
    with Server() as server:
        rows, _ = run(equal, server)
    assert {row["image_id"] for row in rows} == {"a.png", "b.png"}
    assert len(server.bodies) == len(rows) / 2


@pytest.mark.parametrize("lost", [("a.png",), ("b.png",), ("a.png", "b.png")])
def test_equal_images_that_cannot_be_read_cost_the_others_nothing(equal, lost):
    for name in lost:
        (equal.parent / "pictures" / name).write_bytes(b"")
    shard = shard_of(equal)
    with Server() as server:
        rows = VLMCaptioner(vlm_options(server), log=equal / "log").caption_shard(shard)
    assert set(rows).isdisjoint(shard.reasons)
    assert set(rows) | set(shard.reasons) == {"a.png", "b.png"}
    assert (rows == {}) == (len(lost) == 2)
    assert all(row.content == "a wall" for captions in rows.values() for row in captions)


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


def test_an_endpoint_that_does_not_exist(folder):
    nowhere = CaptionOptions(backend="vllm", model=MODEL, endpoints=("http://127.0.0.1:9/v1",))
    with pytest.raises(InputError, match=r"^http://127.0.0.1:9/v1: must list its models .*check"):
        caption.run(folder, nowhere, max_failed_fraction=0)


def test_a_model_must_be_named(folder):
    with pytest.raises(InputError, match=r"caption.model: must be given for the backend vllm"):
        caption.run(folder, CaptionOptions(backend="vllm"), max_failed_fraction=0)
