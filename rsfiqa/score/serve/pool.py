"""Processes that score one picture at a time each; a picture that kills its process is alone."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, NamedTuple

from rsfiqa.errors import InputError, first_line
from rsfiqa.runtime.processes import STOP_S, Worker, WorkerError
from rsfiqa.score.workers import Setup, start

log = logging.getLogger("rsfiqa")

START_S = 600.0  # in which a process loads the models


class PictureTimeoutError(Exception):
    """A picture took too long; its process has been ended."""


class PictureError(Exception):
    """A picture ended its process, or met an error that nobody foresaw."""


class NoProcessError(Exception):
    """No process could be started in place of one that ended."""


class _Job(NamedTuple):
    future: "Future[Any]"
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Pool:
    """Runs functions in processes that have loaded a scorer; see `workers.start`.

    Args:
        setup: of each process.
        processes: number of processes.
        seconds: that a call may take.

    Attributes:
        restarts: number of processes that took the place of one that ended.
        mean_seconds: of recent calls, 0 before the first one.
    """

    def __init__(self, setup: Setup, processes: int, seconds: float) -> None:
        self.setup, self.processes, self.seconds = setup, processes, seconds
        self.restarts, self.mean_seconds = 0, 0.0
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._workers: list[Worker | None] = [None] * processes
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start all processes; the first one loads the models before the others.

        Raises:
            InputError: the models cannot be loaded.
        """
        try:
            self._workers[0] = self._started()
        except WorkerError as error:
            raise InputError(
                f"--workers: a process must load the models, found {first_line(error)}; free memory"
            ) from error
        for index in range(self.processes):
            thread = threading.Thread(target=self._run, args=(index,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """What a function returns in one of the processes.

        The future raises `PictureTimeoutError`, `PictureError`, `NoProcessError`, or an
        `InputError` of the function.

        Args:
            function: of a module, since it is sent by name.
            arguments: of the function.
        """
        future: Future[Any] = Future()
        self._jobs.put(_Job(future, function, arguments))
        return future

    def close(self) -> None:
        """End all processes at once; calls that run or wait fail."""
        self._closed.set()
        for _ in self._threads:
            self._jobs.put(None)
        for worker in self._workers:
            if worker is not None:
                worker.kill()  # the connection is closed once no thread reads from it
        deadline = time.monotonic() + STOP_S  # one that loads the models stops it by itself
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for worker in self._workers:
            if worker is not None:
                worker.stop()

    def _started(self) -> Worker:
        """A process with the models loaded.

        Raises:
            WorkerError: it ended.
            InputError: the models cannot be loaded.
        """
        worker = Worker()
        worker.submit(start, self.setup)
        try:
            if worker.connection.poll(START_S):
                worker.result()
                return worker
        except BaseException:
            worker.stop()
            raise
        worker.stop()
        raise WorkerError(f"loading the models took more than {START_S:g} s")

    def _run(self, index: int) -> None:
        """One thread per process: it waits for the process, the others go on."""
        self._replace(index)
        while (job := self._jobs.get()) is not None:
            if job.future.set_running_or_notify_cancel():
                self._answer(index, job)

    def _answer(self, index: int, job: _Job) -> None:
        worker = self._living(index)
        if worker is None:
            job.future.set_exception(NoProcessError("no process could be started"))
            return
        begun = time.monotonic()
        try:
            job.future.set_result(self._result(worker, job))
        except InputError as error:  # nothing is wrong with the process
            job.future.set_exception(error)
        except Exception as error:  # the process is gone, or its state unknown
            self._workers[index] = None
            worker.stop()
            if not self._closed.is_set():
                log.warning("serve: %s", first_line(error))
                job.future.set_exception(_named(error))
                self.restarts += 1
                self._replace(index)
            else:
                job.future.set_exception(NoProcessError("the service is ending"))
        self.mean_seconds += (time.monotonic() - begun - self.mean_seconds) / 8

    def _result(self, worker: Worker, job: _Job) -> Any:
        worker.submit(job.function, *job.arguments)
        if not worker.connection.poll(self.seconds):
            raise PictureTimeoutError(f"took more than {self.seconds:g} s")
        return worker.result()

    def _living(self, index: int) -> Worker | None:
        """The process of a thread; one that ended while it had no picture is replaced."""
        worker = self._workers[index]
        if worker is not None and not worker.is_alive():
            log.warning("serve: a process ended while it had no picture")
            self._workers[index] = None
            worker.stop()
            self.restarts += 1
        return self._replace(index)

    def _replace(self, index: int) -> Worker | None:
        """Start the process of a thread if there is none; None if this failed."""
        if self._workers[index] is None and not self._closed.is_set():
            try:
                self._workers[index] = self._started()
            except Exception as error:  # the next call tries again
                log.warning("serve: a process did not start: %s", first_line(error))
            if self._closed.is_set() and (late := self._workers[index]) is not None:
                late.stop()
        return self._workers[index]


def _named(error: Exception) -> Exception:
    """The error of a picture: a timeout, or what ended its process."""
    if isinstance(error, PictureTimeoutError):
        return error
    kind = "" if isinstance(error, WorkerError) else f"unexpected {type(error).__name__}: "
    return PictureError(kind + first_line(error))
