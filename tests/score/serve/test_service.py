"""The HTTP interface of a service that runs as users start it."""

import base64
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import psutil
import pytest
from PIL import Image

from benchmarks.curate import client
from benchmarks.curate.client import send, service
from benchmarks.curate.hostile import BOUNDARY, FORM, MAKERS, bomb, form, hostile
from rsfiqa import Scorer
from tests.score.serve.conftest import content, png
from tests.support.html_page import rings

HOSTILE = 3 * len(MAKERS)


def as_json(content: bytes, **changes) -> bytes:
    return json.dumps({"image": base64.b64encode(content).decode(), **changes}).encode()


def test_a_picture_gets_the_score_of_the_scorer(post, checkpoint):
    status, answer = post(png(), name="café/a.png")
    scorer = Scorer.load(checkpoint, device="cpu")
    expected = scorer.score(png())
    worst = expected.worst
    assert (status, answer["status"], answer["name"]) == (200, "ok", "café/a.png")
    assert answer["score"] == pytest.approx(expected.score, abs=1e-6)
    assert answer["worst_caption"] == worst.text
    assert answer["worst_cost"] == pytest.approx(worst.cost, abs=1e-6)
    assert answer["reason"]
    assert answer["damage"] is None
    assert (answer["low"], answer["high"], answer["direction"]) == (1, 5, "higher")
    assert (answer["width"], answer["height"]) == (90, 70)
    assert len(answer["regions"]) == len(expected.regions)
    assert answer["regions"][answer["worst"]]["box"] == list(worst.box)
    assert all(region["outline"].startswith("M") for region in answer["regions"])
    costs = sum(region["cost"] for region in answer["regions"])
    assert costs == pytest.approx(5 - answer["score"], abs=1e-4)


def test_outlines_spare_a_border(post):
    picture = np.asarray(Image.open(io.BytesIO(png())))
    bars = np.zeros((20, 90, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate([bars, picture, bars])).save(buffer, "PNG")
    _, answer = post(buffer.getvalue())
    assert (answer["flags"], answer["map_height"]) == (["border"], 110)
    rows = np.concatenate(
        [ring[:, 1] for region in answer["regions"] for ring in rings(region["outline"])]
    )
    assert (rows.min(), rows.max()) == (20.25, 89.75)


def test_json_gets_the_same_answer_as_a_form(ask, post):
    status, _, answer = ask(
        "POST", "/score", as_json(png(), name="a.png"), content_type="application/json"
    )
    assert (status, answer) == post(png())


def test_a_preview_is_a_jpeg_of_the_upright_picture(post):
    rotated = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.open(io.BytesIO(png(120, 60))).save(rotated, "JPEG", exif=exif)
    _, answer = post(rotated.getvalue(), "/score?preview=64")
    head, _, data = answer["preview"].partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (32, 64)
    assert post(png())[1]["preview"] is None
    status, refused = post(png(), "/score?preview=abc")
    assert (status, refused["detail"][:23]) == (422, "preview: input should b")
    assert refused["detail"].endswith("found 'abc'; correct it")
    assert post(png(), "/score?preview=9999")[0] == 422


def test_the_capture_time_and_similarity_come_along(post):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    smooth = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    photo = Image.fromarray(smooth).resize((120, 90), Image.Resampling.BICUBIC)
    prints = []
    for picture in (photo, photo.resize((240, 180)), photo.rotate(180)):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", exif=exif, quality=95)
        answer = post(buffer.getvalue())[1]
        assert answer["taken"] == "2024-05-06T07:08:09"
        prints.append(int(answer["fingerprint"], 16))
    first, larger, other = prints
    assert (first ^ larger).bit_count() <= 12
    assert (first ^ other).bit_count() > 80


def test_a_batch_answers_each_picture(ask):
    parts = [form(content, name) for content, name in ((png(), "a"), (b"no", "b"), (b"", "c"))]
    end = f"--{BOUNDARY}--\r\n".encode()
    body = b"".join(part.removesuffix(end) for part in parts) + end
    status, _, answer = ask("POST", "/score/batch", body, content_type=FORM)
    found = [(r["name"], r["status"], r.get("code")) for r in answer["results"]]
    assert (status, found) == (
        200,
        [("a", "ok", None), ("b", "failed", 422), ("c", "failed", 422)],
    )
    images = {"images": [json.loads(as_json(png(seed=i), name=str(i))) for i in range(3)]}
    status, _, answer = ask(
        "POST", "/score/batch", json.dumps(images).encode(), content_type="application/json"
    )
    assert [(r["name"], r["status"]) for r in answer["results"]] == [(n, "ok") for n in "012"]


@pytest.mark.parametrize(
    ("body", "kind", "status", "detail"),
    [
        (form(b"no picture"), FORM, 422, "picture: not an image of a known format"),
        (form(b""), FORM, 422, "picture: empty file (0 bytes)"),
        (form(png()[:60]), FORM, 422, "picture: "),
        (form(png(2000, 1200)[:200]), FORM, 413, "must have at most 2 megapixels, found 2000 x"),
        (form(bomb(12_000)), FORM, 413, "must have at most 2 megapixels, found 12000 x 12000"),
        (form(bomb(40_000)), FORM, 422, "picture: more than 178 megapixels"),
        (
            form(png(), field_name="x"),
            FORM,
            422,
            "image: must be one file of the form",
        ),
        (form(png())[:-40], FORM, 422, ""),
        (b"x" * 4_000_001, FORM, 413, "body: must have at most 4 MB, found 4000001 bytes; reduce"),
        (b"{", "application/json", 400, "body: must be complete JSON, found EOF while parsing"),
        (b"3", "application/json", 422, "body: input should be an object, found 3"),
        (b'{"url": "http://a/b"}', "application/json", 422, "image is required"),
        (as_json(png(), url="http://a"), "application/json", 422, "unknown key url"),
        (b'{"image": "http://a/b.jpg"}', "application/json", 422, "must be base64 of a file"),
        (png(), "image/png", 415, "Content-Type: must be multipart/form-data or application/json"),
        (
            png(),
            "multipart/form-data",
            400,
            "body: must be a complete form, found Mis",
        ),
    ],
)
def test_a_bad_upload_is_refused_in_one_line(ask, body, kind, status, detail):
    found, _, answer = ask("POST", "/score", body, content_type=kind)
    assert found == status, answer
    assert detail in answer["detail"]
    assert "\n" not in answer["detail"]


def test_a_body_of_unknown_length_is_stopped_at_the_limit(running):
    def parts():
        yield form(b"").removesuffix(f"\r\n--{BOUNDARY}--\r\n".encode())
        for _ in range(10_000):  # 10 GB
            yield bytes(10**6)

    begun = time.monotonic()
    with (
        closing(http.client.HTTPConnection(*running.address, timeout=20)) as connection,
        pytest.raises(ConnectionError),
    ):
        connection.request("POST", "/score", parts(), {"Content-Type": FORM}, encode_chunked=True)
    assert time.monotonic() - begun < 20


def test_another_name_or_site_is_refused(ask):
    assert ask("GET", "/health", host="localhost:1")[0] == 200
    assert ask("GET", "/health", host="[::1]")[0] == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "192.168.0.1", "", "[", "a@b:c"):
        status, _, answer = ask("GET", "/", host=host)
        assert (status, answer["detail"][:6]) == (421, "Host: ")
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}):
        assert ask("POST", "/score", form(png()), content_type=FORM, **headers)[0] == 403
    assert ask("POST", "/score", b"", sec_fetch_site="cross-site")[0] == 403
    _, headers, _ = ask("GET", "/health")
    assert "access-control-allow-origin" not in headers
    own = {"host": "localhost:8000", "origin": "http://localhost:8000"}
    assert ask("GET", "/health", **own)[0] == 200


def test_figures_count_what_was_done(ask, post):
    def figure(name: str) -> float:
        status, headers, text = ask("GET", "/metrics")
        assert (status, headers.get_content_type()) == (200, "text/plain")
        lines = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(lines[0].split()[-1]) if lines else 0.0

    ok, failed = (f'rsfiqa_pictures_total{{outcome="{name}"}}' for name in ("ok", "failed"))
    before = figure(ok), figure(failed), figure("rsfiqa_picture_seconds_count")
    post(png())
    post(b"no picture")
    after = figure(ok), figure(failed), figure("rsfiqa_picture_seconds_count")
    assert after == (before[0] + 1, before[1] + 1, before[2] + 2)
    ask("GET", "/no/such/path")
    assert figure('rsfiqa_requests_total{path="other",status="404"}') >= 1
    assert figure("rsfiqa_requests_admitted") == 0


def test_health_tells_the_bounds(ask):
    status, _, answer = ask("GET", "/health")
    assert (status, answer["status"], answer["processes"]) == (200, "ok", 1)
    assert (answer["max_upload"], answer["max_pixels"]) == (4_000_000, 2_000_000)
    assert answer["needs_token"] is False


def test_the_interface_is_described_without_remote_scripts(ask):
    _, _, schema = ask("GET", "/openapi.json")
    assert set(schema["paths"]) == {"/score", "/score/batch", "/health", "/metrics"}
    content = schema["paths"]["/score"]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/json"}
    for path in ("/docs", "/"):
        status, headers, page = ask("GET", path)
        assert status == 200
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "://" not in page.replace("http://www.w3.org/2000/svg", "")
    for path in ("/app.js", "/app.css", "/docs.js", "/swagger/swagger-ui-bundle.js"):
        assert ask("GET", path)[0] == 200


def test_hostile_uploads_are_survived(running, post):
    worker_pids = [child.pid for child in psutil.Process(running.process.pid).children()]
    statuses: dict[str, set[int]] = {}
    for request in hostile(HOSTILE):
        statuses.setdefault(request.kind, set()).add(send(running.address, request))
    assert len(statuses) == len(MAKERS)
    assert {s for found in statuses.values() for s in found} <= {0, 200, 400, 404, 413, 415, 422}
    assert 200 not in statuses["bomb"] | statuses["json"] | statuses["no picture"]
    status, answer = post(png())
    assert (status, answer["status"]) == (200, "ok")
    assert [c.pid for c in psutil.Process(running.process.pid).children()] == worker_pids


def test_a_process_that_is_killed_is_replaced(running, post, ask):
    (worker,) = (
        child
        for child in psutil.Process(running.process.pid).children()
        if "spawn_main" in " ".join(child.cmdline())
    )
    worker.send_signal(signal.SIGKILL)
    first = post(png())
    assert first[0] == 500
    assert "its process was killed (SIGKILL)" in first[1]["detail"]
    assert post(png())[0] == 200


def test_a_full_queue_says_when_to_try_again(checkpoint):
    picture = png(1200, 900)
    with service("--workers=1", "--queue=1", "--checkpoint", checkpoint) as small:
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: client.post(small.address, picture), range(8)))
        assert {answer.status for answer in answers} == {200, 503}
        waits = [answer.headers["Retry-After"] for answer in answers if answer.status == 503]
        assert all(int(seconds) >= 1 for seconds in waits)


def test_a_picture_that_takes_too_long_is_given_up(checkpoint):
    with service("--workers=1", "--timeout=0.01", "--checkpoint", checkpoint) as hasty:
        for _ in range(2):
            answer = client.post(hasty.address, png(1500, 1100))
            detail = "picture: took more than 0.01 s; reduce it"
            assert (answer.status, content(answer)["detail"]) == (504, detail)


def test_a_token_is_needed_for_all_that_scores(checkpoint):
    token = "0123456789abcdef"
    words = ("--workers=1", "--host=0.0.0.0", "--checkpoint", checkpoint)
    with service(*words, RSFIQA_TOKEN=token) as guarded:
        address = ("127.0.0.1", guarded.address[1])
        for wrong in ("", "Bearer ", f"Bearer {token}x", f"Basic {token}", token, "Bearer \xff"):
            assert client.post(address, png(), Authorization=wrong).status == 401
        assert client.ask(address, "GET", "/metrics").status == 401
        assert client.post(address, png(), Authorization=f"Bearer {token}").status == 200
        for path in ("/", "/health", "/docs", "/openapi.json", "/app.js"):
            assert client.ask(address, "GET", path).status == 200
        assert client.ask(address, "GET", "/", headers={"Host": "evil.example"}).status == 421


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_silence_with_all_its_processes(checkpoint, number):
    with service("--workers=1", "--checkpoint", checkpoint) as running:
        children = psutil.Process(running.process.pid).children(recursive=True)
        os.kill(running.process.pid, number)
        assert running.process.wait(20) == 0
        _, alive = psutil.wait_procs(children, 10)
        assert alive == []


def test_uploads_leave_no_file_behind(checkpoint, tmp_path):
    with service("--workers=1", "--checkpoint", checkpoint, TMPDIR=str(tmp_path)) as running:
        for body in (png(), b"no picture"):
            client.post(running.address, body)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--host", "0.0.0.0"],
            "--host: 0.0.0.0 needs a token of 16 or more letters",
        ),
        (["--host", "no.such.host.invalid"], "--host: no.such.host.invalid needs a token"),
        (["--port", "1", "--checkpoint", "/nowhere"], "/nowhere"),
    ],
)
def test_a_service_that_cannot_start_says_why(words, message):
    line = [sys.executable, "-m", "rsfiqa", "serve", *words]
    shown = subprocess.run(line, capture_output=True, text=True, check=False)
    assert shown.returncode == 1
    assert message in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(running, checkpoint):
    port = str(running.address[1])
    line = [sys.executable, "-m", "rsfiqa", "serve", "--port", port, "--checkpoint", checkpoint]
    shown = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr.count("\n")) == (1, 1)
    assert f"rsfiqa serve: --port: must be free on 127.0.0.1, found {port}" in shown.stderr
