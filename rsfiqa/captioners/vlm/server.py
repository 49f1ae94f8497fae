"""A vLLM server on a port of this machine that ends with the process that starts it."""

import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rsfiqa.caption.options import ServerOptions
from rsfiqa.captioners.vlm import supervisor
from rsfiqa.captioners.vlm.vllm_command import check, command
from rsfiqa.errors import InputError

log = logging.getLogger("rsfiqa")

POLL_S = 0.5  # interval at which a starting server is checked
HEALTH_TIMEOUT_S = 5
ALL_ADDRESSES = frozenset({"0.0.0.0", "::"})
LOG_TAIL = 20_000  # bytes of a log that are searched for the cause of a crash
MAX_CAUSE = 300  # characters

# Snakemake sets these for every job. vLLM binds its own threads to cores; with a number from the
# environment two threads share a core, and all takes 17 times as long.
THREAD_VARIABLES = frozenset(
    f"{name}_THREADS"
    for name in ("OMP_NUM", "GOTO_NUM", "OPENBLAS_NUM", "MKL_NUM", "NUMEXPR_NUM", "VECLIB_MAXIMUM")
)


class ServerEndedError(InputError):
    """A server that ended before it was ready."""

    def __init__(self, cause: str, log_file: Path) -> None:
        super().__init__(f"the model's server did not start: {cause}; its log is {log_file}")
        self.cause = cause


class Server:
    """A server that starts on entering this context manager and ends on leaving it.

    Args:
        options: options of the server.
        model: name of the model to clients.
        log_file: log file of the server.
        host: address to listen on.
        port: port to listen on; by default a free one.
        restarts: how often `revive` restarts it.
    """

    def __init__(
        self,
        options: ServerOptions,
        model: str,
        log_file: Path,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        restarts: int = 0,
    ) -> None:
        self.options, self.model = options, model
        self.log_file, self.restarts = log_file, restarts
        self.host, self.port = host, port or free_port()
        self.restarted = 0
        self._log_start = 0  # offset at which the log of the last start begins
        self._stopped = threading.Event()  # it is not restarted
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://{self.host}:{self.port}/v1"

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def revive(self) -> None:
        """Restart a server that has crashed.

        Raises:
            InputError: it has been restarted as often as is allowed.
        """
        cause = self.cause()
        while True:
            self._end()
            if self._stopped.is_set():
                return
            if self.restarted >= self.restarts:
                raise InputError(
                    f"the model's server ended: {cause}; it has been restarted {self.restarted}"
                    f" times (caption.server.max_restarts), its log is {self.log_file}"
                )
            self.restarted += 1
            log.warning(
                "the model's server ended: %s; restart %d of %d",
                cause,
                self.restarted,
                self.restarts,
            )
            try:
                self._start()
            except ServerEndedError as error:
                cause = error.cause
            else:
                return

    def _start(self) -> None:
        """Start the server and wait until it is ready.

        Raises:
            ServerEndedError: it ended.
            InputError: its port is taken, or it is not ready in time.
        """
        if _is_taken(self.host, self.port):
            raise InputError(f"port {self.port}: must be free, found it taken; choose another")
        self._process = self._launch()
        log.info("starting the model's server; its log is %s", self.log_file)
        started = time.monotonic()
        while not self._is_healthy():
            if not self.alive:
                raise ServerEndedError(self.cause(), self.log_file)
            if time.monotonic() - started > self.options.startup_timeout:
                raise InputError(
                    "the model's server must be ready within"
                    f" {self.options.startup_timeout:g} s (caption.server.startup_timeout), found"
                    f" no response at {self.url}; its log is {self.log_file}"
                )
            if self._stopped.wait(POLL_S):
                return
        log.info("the model's server is ready after %.0f s", time.monotonic() - started)

    def _launch(self) -> subprocess.Popen[bytes]:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        line = command(self.options, self.model, self.host, self.port)
        with self.log_file.open("ab") as file:
            file.write(f"$ {shlex.join(line)}\n".encode())
            file.flush()
            self._log_start = file.tell()
            return subprocess.Popen(
                [sys.executable, supervisor.__file__, *line],
                stdin=subprocess.PIPE,  # closes when this process ends
                stdout=file,
                stderr=subprocess.STDOUT,
                env={k: value for k, value in os.environ.items() if k not in THREAD_VARIABLES},
                start_new_session=True,  # the supervisor survives signals to this process's group
            )

    def _is_healthy(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        url = f"http://{self.host}:{self.port}/health"
        try:
            with opener.open(url, timeout=HEALTH_TIMEOUT_S) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """End the server and all processes that it has started; it is not restarted."""
        self._stopped.set()
        self._end()

    def _end(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()

    def cause(self) -> str:
        """The signal that ended the server, or the last error in its log."""
        status = self._process.wait() if self._process is not None else 0
        number = status - supervisor.SIGNAL_STATUS
        if number in signal.valid_signals():
            return f"ended by {signal.Signals(number).name}"
        with self.log_file.open("rb") as file:
            file.seek(max(self._log_start, self.log_file.stat().st_size - LOG_TAIL))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
        errors = [line for line in lines if "Error" in line or "error:" in line]
        return next(filter(None, reversed(errors or lines)), "its log is empty")[-MAX_CAUSE:]


def serve(options: ServerOptions, model: str | None, log_file: Path, host: str, port: int) -> None:
    """Serve until interrupted; prints the endpoint as soon as the server is ready.

    Args:
        options: options of the server.
        model: name of the model to clients.
        log_file: log file of the server.
        host: address to listen on.
        port: port to listen on.

    Raises:
        InputError: no model is named, it cannot be served, or the server does not start or crashes.
    """
    if not model:
        raise InputError("--model: must be given, found nothing; name the model")
    check(options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        suppress(KeyboardInterrupt),
        Server(options, model, log_file, host=host, port=port) as server,
    ):
        name = socket.gethostname() if host in ALL_ADDRESSES else host
        print(f"http://{name}:{port}/v1", flush=True)
        while server.alive:
            time.sleep(POLL_S)
        raise InputError(f"the model's server ended: {server.cause()}; its log is {log_file}")


def _is_taken(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def free_port() -> int:
    """A port of the loopback address that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
