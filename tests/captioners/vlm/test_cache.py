import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from rsfiqa.captioners.vlm.cache import CachedResponse, ResponseCache, key_of
from rsfiqa.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
RESPONSE = CachedResponse("{}", "", {"color": 4.5, "blur": None}, 1, 100, 75, 20)


def test_what_is_put_can_be_read_later(tmp_path):
    keys = [key_of(region=i) for i in range(1200)]
    with ResponseCache(tmp_path / "a.sqlite") as cache:
        cache.put(dict.fromkeys(keys[::2], RESPONSE))
    with ResponseCache(tmp_path / "a.sqlite") as cache:
        assert cache.get(keys) == dict.fromkeys(keys[::2], RESPONSE)


def test_a_key_depends_on_every_part_and_not_on_their_order():
    assert key_of(a=1, b="x") == key_of(b="x", a=1)
    assert len({key_of(a=1, b="x"), key_of(a=2, b="x"), key_of(a=1, b="y"), key_of(a=1)}) == 4


def test_responses_survive_a_kill(tmp_path):
    code = (
        "import os, signal, sqlite3, sys; from pathlib import Path;"
        "from rsfiqa.captioners.vlm.cache import CachedResponse, ResponseCache;"
        "cache = ResponseCache(Path(sys.argv[1]));"
        f"cache.put({{'a': {RESPONSE!r}}});"
        "other = sqlite3.connect(sys.argv[1]);"
        "other.execute('INSERT INTO responses VALUES (?, ?)', ('b', '{}'));"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "a.sqlite"
    ended = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    with ResponseCache(path) as cache:
        assert cache.get(["a", "b"]) == {"a": RESPONSE}


def test_a_file_that_is_no_cache(tmp_path):
    (tmp_path / "a.sqlite").write_text("no cache" * 200, "utf-8")
    wrong = r"a.sqlite: damaged \(.*\); delete it to send requests anew"
    with pytest.raises(InputError, match=wrong):
        ResponseCache(tmp_path / "a.sqlite")


def open_files(path) -> int:
    """How often this process has a file open."""
    return [os.path.realpath(file) for file in Path("/proc/self/fd").iterdir()].count(str(path))


def test_a_cache_of_another_version(tmp_path):
    path = tmp_path / "a.sqlite"
    ResponseCache(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(InputError, match="expected responses of version 2, found 7") as refused:
        ResponseCache(path)
    assert open_files(path) == 0
    assert refused.tb is not None  # it holds the cache, which therefore has not been collected
