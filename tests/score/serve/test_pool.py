"""The processes of the service: crashes, time, and errors that nobody foresaw."""

import os
import signal
import time

import pytest

from rsfiqa.errors import InputError
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.serve.pool import NoProcessError, PictureError, PictureTimeoutError, Pool
from rsfiqa.score.workers import Setup
from tests.support.scoring import crash, kill


def pid() -> int:
    return os.getpid()


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def refuse() -> None:
    raise InputError("x: must be y, found z; change it")


@pytest.fixture(scope="module")
def pool(checkpoint):
    started = Pool(Setup(checkpoint, ScoreOptions(device="cpu"), None), 1, seconds=2)
    started.start()
    yield started
    started.close()


def test_a_process_is_used_again(pool):
    assert pool.submit(pid).result(60) == pool.submit(pid).result(60)


@pytest.mark.parametrize(
    ("function", "arguments", "kind", "message"),
    [
        (kill, (), PictureError, "was killed (SIGKILL), perhaps because memory ran out"),
        (crash, (), PictureError, "its process crashed (SIGSEGV)"),
        (sleep, (60,), PictureTimeoutError, "took more than 2 s"),
        (os.close, (-1,), PictureError, "unexpected OSError: "),
        (os._exit, (3,), PictureError, "its process ended with status 3"),
    ],
)
def test_a_call_that_ends_its_process_is_alone(pool, function, arguments, kind, message):
    before, restarts = pool.submit(pid).result(60), pool.restarts
    lost, behind = pool.submit(function, *arguments), pool.submit(pid)
    with pytest.raises(kind) as caught:
        lost.result(60)
    assert message in str(caught.value)
    assert behind.result(60) != before
    assert pool.restarts == restarts + 1


def test_a_process_that_ended_while_it_waited_costs_no_picture(pool):
    before, restarts = pool.submit(pid).result(60), pool.restarts
    os.kill(before, signal.SIGKILL)
    time.sleep(0.5)
    assert pool.submit(pid).result(60) != before
    assert pool.restarts == restarts + 1


def test_an_error_of_the_input_leaves_the_process(pool):
    before = pool.submit(pid).result(60)
    with pytest.raises(InputError, match="x: must be y"):
        pool.submit(refuse).result(60)
    assert pool.submit(pid).result(60) == before


def test_a_call_that_nobody_waits_for_is_left_out(pool):
    first, second = pool.submit(sleep, 0.5), pool.submit(os.kill, os.getpid(), signal.SIGKILL)
    assert second.cancel()
    assert first.result(60) == 0.5


def test_a_checkpoint_that_cannot_be_used_is_said_at_the_start(tmp_path):
    broken = Pool(Setup(tmp_path, ScoreOptions(device="cpu"), None), 2, seconds=2)
    with pytest.raises(InputError):
        broken.start()
    broken.close()


def test_calls_fail_once_it_is_closed(checkpoint):
    ending = Pool(Setup(checkpoint, ScoreOptions(device="cpu"), None), 1, seconds=60)
    ending.start()
    running = ending.submit(sleep, 60)
    time.sleep(0.2)
    ending.close()
    with pytest.raises(NoProcessError):
        running.result(10)
