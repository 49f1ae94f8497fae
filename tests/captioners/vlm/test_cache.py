import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rsfiqa.captioners.vlm.cache import CachedResponse, ResponseCache, key_of
from rsfiqa.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
ANSWER = CachedResponse("{}", "", {"color": 4.5, "blur": None}, 1, 100, 75, 20)


def test_what_is_kept_is_found_again(tmp_path):
    store = ResponseCache(tmp_path / "a.sqlite")
    keys = [key_of(region=i) for i in range(1200)]
    store.put(dict.fromkeys(keys[::2], ANSWER))
    store.close()
    again = ResponseCache(tmp_path / "a.sqlite")
    found = again.get(keys)
    again.close()
    assert found == dict.fromkeys(keys[::2], ANSWER)


def test_a_key_depends_on_every_part_and_not_on_their_order():
    assert key_of(a=1, b="x") == key_of(b="x", a=1)
    assert len({key_of(a=1, b="x"), key_of(a=2, b="x"), key_of(a=1, b="y"), key_of(a=1)}) == 4


def test_answers_survive_a_kill(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from rsfiqa.captioners.vlm.cache import ResponseCache as Store;"
        "from tests.captioners.vlm.test_cache import ANSWER;"
        "store = Store(Path(sys.argv[1])); store.put({'a': ANSWER});"
        "store._connection.execute('INSERT INTO answers VALUES (?, ?)', ('b', '{}'));"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "a.sqlite"
    ended = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT)
    assert ended.returncode == -signal.SIGKILL
    store = ResponseCache(path)
    assert store.get(["a", "b"]) == {"a": ANSWER}
    store.close()


def test_a_file_that_is_no_store(tmp_path):
    (tmp_path / "a.sqlite").write_text("no store" * 200, "utf-8")
    with pytest.raises(InputError, match=r"a.sqlite: damaged \(.*\); delete it to ask again"):
        ResponseCache(tmp_path / "a.sqlite")


def test_a_store_of_another_version(tmp_path):
    store = ResponseCache(tmp_path / "a.sqlite")
    store._connection.execute("PRAGMA user_version = 7")
    store.close()
    with pytest.raises(InputError, match="expected answers of version 1, found 7"):
        ResponseCache(tmp_path / "a.sqlite")
