"""Processes that run functions, and what is known of one that dies."""

import copy
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from typing import Any, Literal

Method = Literal["spawn", "fork"]

STOP_S = 5.0  # in which a process that was killed disappears


class WorkerError(Exception):
    """Why a process ended before it answered, in words."""


class Worker:
    """A process that runs one function after the other, for as long as this object lives.

    It ignores Ctrl-C, which its parent handles, and ends with its parent however that ends. One
    that is never stopped, for instance because an interrupt came before it was stored, is killed at
    the exit of the interpreter, which would otherwise wait for it.

    Args:
        method: spawn, or fork, which takes no time but only suits a process without threads.
    """

    def __init__(self, method: Method = "spawn") -> None:
        context: Any = multiprocessing.get_context(method)
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,))
        if method == "spawn":
            resource_tracker.ensure_running()  # its own start would end the blocking of Ctrl-C
        with _interrupt_blocked():  # a process begins with the signals blocked of its parent
            self._process.start()
            Finalize(self, self._process.kill, exitpriority=0)  # not in a fork of this process
        theirs.close()
        self._stopping = threading.Lock()

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return bool(self._process.is_alive())

    def submit(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Let the process run a function, while this one does something else.

        Args:
            function: of a module, since it is sent by name.
            arguments: of the function.
        """
        try:
            self.connection.send((function, arguments))
        except OSError:  # the process has died: `result` says so
            return

    def result(self) -> Any:
        """What the function returned, as soon as it has; its exception is raised.

        Raises:
            WorkerError: the process ended instead.
        """
        try:
            succeeded, value = self.connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerError(self._reason()) from error
        if not succeeded:
            raise value
        return value

    def _reason(self) -> str:
        self._process.join(STOP_S)
        code = self._process.exitcode
        if code is None or code >= 0:
            return f"its process ended with status {code}"
        name = signal.Signals(-code).name
        if code == -signal.SIGKILL:
            return f"its process was killed ({name}), perhaps because memory ran out"
        return f"its process crashed ({name})"

    def stop(self) -> None:
        """End the process at once, whatever it does; several threads may ask for it."""
        with self._stopping:
            self._process.kill()
            self._process.join(STOP_S)
            self.connection.close()

    def kill(self) -> None:
        """End the process, of which a thread that waits for its answer is told."""
        self._process.kill()


def run_apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a process of its own, whose memory is free afterwards.

    Raises:
        WorkerError: the process ended without an answer.
    """
    worker = Worker()
    try:
        worker.submit(function, *arguments)
        return worker.result()
    finally:
        worker.stop()


@contextmanager
def _interrupt_blocked() -> Iterator[None]:
    """Hold Ctrl-C back for the duration of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection) -> None:
    """Run what comes through a connection until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of what this process starts, too
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    while True:
        try:
            function, arguments = connection.recv()
        except (EOFError, OSError):
            return
        try:
            connection.send((True, function(*arguments)))
        except BaseException as error:
            error.add_note(traceback.format_exc())  # the trace itself cannot be sent
            _send_error(connection, error)


def _send_error(connection: Connection, error: BaseException) -> None:
    """Send an error, or one with the same text if it cannot be made again at the other end."""
    try:
        copy.copy(error)
        connection.send((False, error))
    except Exception:
        with suppress(OSError):  # the parent is gone, and this process ends with it
            connection.send((False, RuntimeError(f"{type(error).__name__}: {error}")))


def _exit_with_parent() -> None:
    """End this process when its parent has ended, for whatever reason."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
