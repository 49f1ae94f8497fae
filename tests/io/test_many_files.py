"""What is asked of many files."""

import threading

import pytest

from rsfiqa.io import many_files


@pytest.mark.parametrize(("slow_s", "threads"), [(0.0, many_files.THREADS), (60.0, 0)])
def test_the_order_is_kept_and_threads_are_for_slow_files(slow_s, threads):
    asked = set()

    def ask(number: int) -> int:
        asked.add(threading.get_ident())
        return -number

    count = 5 * many_files.CHUNK + 3
    answers = many_files.ask_each(ask, range(count), slow_s=slow_s)
    assert list(answers) == [-n for n in range(count)]
    others = asked - {threading.get_ident()}
    assert 0 < len(others) <= threads if threads else not others


def test_files_are_taken_as_they_are_asked():
    files = iter(range(10 * many_files.CHUNK))
    answers = many_files.ask_each(str, files)
    assert next(answers) == "0"
    assert next(files) == many_files.CHUNK


def test_no_file():
    assert not list(many_files.ask_each(str, []))
