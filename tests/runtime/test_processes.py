"""Processes that run functions: results, errors, deaths, and that none is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from rsfiqa.runtime.processes import Worker, WorkerError, run_apart


class OddError(Exception):
    """Is made of two arguments, but knows of one."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def fail_with_an_error_that_cannot_be_sent():
    raise OddError("a", "b")


def test_results_and_errors_come_back():
    worker = Worker()
    try:
        worker.submit(divmod, 7, 3)
        assert worker.result() == (2, 1)
        worker.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal") as caught:
            worker.result()
        assert "_serve" in caught.value.__notes__[0]
        worker.submit(fail_with_an_error_that_cannot_be_sent)
        with pytest.raises(RuntimeError, match="OddError: a b"):
            worker.result()
        worker.submit(os.getpid)
        assert worker.result() != os.getpid()
    finally:
        worker.stop()


def test_several_threads_may_stop_a_process():
    """The number of the connection's file may belong to another file after the first of them."""
    for _ in range(30):
        worker = Worker("fork")
        together = threading.Barrier(4)

        def stop(worker=worker, together=together):
            together.wait(60)
            worker.stop()

        with ThreadPoolExecutor(4) as threads:
            for stopped in [threads.submit(stop) for _ in range(4)]:
                stopped.result(60)
        assert worker.connection.closed


def test_a_thread_that_waits_is_told_of_a_kill():
    worker = Worker()
    worker.submit(time.sleep, 60)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(worker.result)
        time.sleep(0.1)
        worker.kill()
        with pytest.raises(WorkerError, match=r"was killed \(SIGKILL\)"):
            waiting.result(30)
    worker.stop()


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (signal.raise_signal, [signal.SIGKILL], r"was killed \(SIGKILL\), perhaps because memory"),
        (signal.raise_signal, [signal.SIGABRT], r"crashed \(SIGABRT\)"),
        (os._exit, [3], "ended with status 3"),
    ],
)
def test_a_process_that_dies(function, arguments, message):
    with pytest.raises(WorkerError, match=message):
        run_apart(function, *arguments)


def test_a_process_that_is_dead_already():
    worker = Worker()
    worker.stop()
    worker = Worker()
    os.kill(worker._process.pid, signal.SIGKILL)
    worker._process.join()
    worker.submit(int)
    with pytest.raises(WorkerError, match="was killed"):
        worker.result()
    worker.stop()


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_it_ends_with_its_parent(method):
    code = (
        "import time\nfrom rsfiqa.runtime.processes import Worker\n"
        "if __name__ == '__main__':\n"
        f"    worker = Worker({method!r})\n"
        "    worker.submit(time.sleep, 600)\n"
        "    print(worker._process.pid, flush=True)\n"
        "    time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        time.sleep(1)
        parent.kill()
    for _ in range(100):
        if not _is_running(child):
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the process goes on")


def _is_running(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:  # noqa: PTH123
            return file.read().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_one_that_nobody_stops_does_not_keep_the_interpreter(method):
    """As after an interrupt between the start of a process and its entry in a pool."""
    code = (
        "import tempfile\n"
        "folder = tempfile.TemporaryDirectory()\n"  # is cleaned up at the exit, too
        "from rsfiqa.runtime.processes import Worker\n"
        "if __name__ == '__main__':\n"
        f"    kept = [Worker({method!r}), Worker({method!r})]\n"
        "    kept.append(kept)\n"
        "    raise SystemExit(130)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=30)
    assert ended.returncode == 130


def test_a_long_folder_for_temporary_files(tmp_path):
    """Sockets have names of at most 108 bytes; pipes have none."""
    folder = tmp_path / ("x" * 90)
    folder.mkdir()
    code = (
        "from rsfiqa.runtime.processes import run_apart\n"
        "if __name__ == '__main__': print(run_apart(divmod, 7, 3))"
    )
    environment = os.environ | {"TMPDIR": str(folder)}
    line = [sys.executable, "-c", code]
    shown = subprocess.run(line, capture_output=True, text=True, env=environment, check=True)
    assert (shown.stdout, shown.stderr) == ("(2, 1)\n", "")
