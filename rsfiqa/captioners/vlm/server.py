"""A model server that belongs to the process which starts it: vLLM's, on a port of this machine."""

import json
import logging
import os
import shlex
import shutil
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

from rsfiqa.caption.options import ServerOptions
from rsfiqa.captioners.vlm import supervisor
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of

log = logging.getLogger("rsfiqa")


MODEL_FILES = frozenset({".safetensors", ".bin", ".json", ".jinja", ".txt", ".model"})


POLL_S = 0.5


ANY_HOST = frozenset({"0.0.0.0", "::"})


PICTURES = 2  # in one request: the whole image and a region


TAIL = 20_000  # bytes of a log that are searched for the cause of an end


PROCESSORS = ("preprocessor_config.json", "processor_config.json")  # of a model that sees


# Snakemake sets these for every job. vLLM binds its own threads to cores; with a number from
# outside two of them share a core, and everything takes 17 times as long.
THREADS = frozenset(
    f"{name}_THREADS"
    for name in ("OMP_NUM", "GOTO_NUM", "OPENBLAS_NUM", "MKL_NUM", "NUMEXPR_NUM", "VECLIB_MAXIMUM")
)


def check(options: ServerOptions) -> None:
    """Refuse what cannot be served.

    Raises:
        InputError: no such interpreter, arguments that a shell could not split or that hold a key,
            not a folder with a model, or a model that does not take pictures.
    """
    if shutil.which(_python(options)) is None:
        raise InputError(
            f"caption.server.python: must be an interpreter, found none at {options.python}; give the path"
            " of one whose environment holds vllm"
        )
    try:
        words = shlex.split(options.arguments)
    except ValueError as error:
        raise InputError(
            f"caption.server.arguments: must be words as in a shell, found"
            f" {options.arguments!r} ({error})"
        ) from error
    if any(word.split("=")[0] == "--api-key" for word in words):  # commands and logs show them
        raise InputError(
            "caption.server.arguments: must hold no key, found --api-key; set the environment"
            " variable VLLM_API_KEY, and the one that caption.key_variable names, to the key"
        )
    folder = _folder(options)
    if folder is None:
        return
    if not (folder / "config.json").is_file():
        raise InputError(
            f"caption.server.weights: must be a model's folder with config.json, found {options.weights};"
            " download the model there, or leave it out to have vllm download it"
        )
    if not any((folder / name).is_file() for name in PROCESSORS):
        raise InputError(
            f"caption.server.weights: must be a model that takes pictures (with {PROCESSORS[0]}), found"
            f" {options.weights}; use a vision-language model"
        )


def digests(options: ServerOptions) -> dict[str, str]:
    """SHA-256 of each of the model's files, by name; none of a model that vLLM downloads."""
    folder = _folder(options)
    return {} if folder is None else digests_of(folder)


def digests_of(folder: Path) -> dict[str, str]:
    """SHA-256 of each of the files of a model's folder, by name; notes beside it do not count."""
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in MODEL_FILES]
    return {path.name: sha256_of(path) for path in paths}


def _folder(options: ServerOptions) -> Path | None:
    return None if options.weights is None else Path(options.weights).expanduser()


def _python(options: ServerOptions) -> str:
    return str(Path(options.python).expanduser()) if options.python else sys.executable


def command(options: ServerOptions, model: str, host: str, port: int) -> list[str]:
    """The command line of the server."""
    structured = {"backend": options.structured_backend}
    if options.structured_backend != "outlines":  # which has no such setting
        structured["disable_any_whitespace"] = True  # type: ignore[assignment]
    return [
        _python(options),
        *("-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(_folder(options) or model)),
        *("--served-model-name", model),
        *("--host", host),
        *("--port", str(port)),
        *("--dtype", options.dtype),
        *("--tensor-parallel-size", str(options.tensor_parallel)),
        *("--data-parallel-size", str(options.data_parallel)),
        *("--max-model-len", str(options.max_model_len)),
        *("--gpu-memory-utilization", str(options.gpu_memory_utilization)),
        *("--limit-mm-per-prompt", json.dumps({"image": PICTURES})),
        *("--structured-outputs-config", json.dumps(structured)),
        *("--generation-config", "vllm"),  # sampling as asked, without the model's own habits
        "--enable-prefix-caching" if options.prefix_caching else "--no-enable-prefix-caching",
        "--enable-prompt-tokens-details",
        *shlex.split(options.arguments),
    ]


class EndedError(InputError):
    """A server that ended before it answered."""

    def __init__(self, cause: str, log_file: Path) -> None:
        super().__init__(f"the model's server did not start: {cause}; its log is {log_file}")
        self.cause = cause


class Server:
    """Started on entering, ended on leaving, however that comes about.

    Args:
        options: how to serve it.
        model: its name to clients.
        log_file: takes what the server writes.
        host: address that it listens at.
        port: a free one by default.
        restarts: how often `revive` starts it anew.
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
        self.host, self.port = host, port or _free_port()
        self.restarted = 0
        self._begin = 0  # of the log, for this start
        self._over = threading.Event()  # it is not to be started anew
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://{self.host}:{self.port}/v1"

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> "Server":
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
        """Start a server that has ended anew.

        Raises:
            InputError: it has been started anew as often as is allowed.
        """
        cause = self.cause()
        while True:
            self._end()
            if self._over.is_set():
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
                return self._start()
            except EndedError as error:
                cause = error.cause

    def _start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            EndedError: it ended.
            InputError: it was not up in time.
        """
        if _taken(self.host, self.port):
            raise InputError(f"port {self.port}: must be free, found it taken; choose another")
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        line = command(self.options, self.model, self.host, self.port)
        started = time.monotonic()
        with self.log_file.open("ab") as file:
            file.write(f"$ {shlex.join(line)}\n".encode())
            file.flush()
            self._begin = file.tell()
            self._process = subprocess.Popen(
                [sys.executable, supervisor.__file__, *line],
                stdin=subprocess.PIPE,  # closes when this process ends
                stdout=file,
                stderr=subprocess.STDOUT,
                env={name: value for name, value in os.environ.items() if name not in THREADS},
                start_new_session=True,  # what ends this process's group leaves the guard to act
            )
        log.info("starting the model's server; its log is %s", self.log_file)
        while not self._healthy():
            if not self.alive:
                raise EndedError(self.cause(), self.log_file)
            if time.monotonic() - started > self.options.startup_timeout:
                raise InputError(
                    f"the model's server must be up within {self.options.startup_timeout:g} s"
                    f" (caption.server.startup_timeout), found no answer at {self.url}; its log is {self.log_file}"
                )
            if self._over.wait(POLL_S):
                return
        log.info("the model's server is up after %.0f s", time.monotonic() - started)

    def _healthy(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{self.host}:{self.port}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """End it and all that it has started, for good."""
        self._over.set()
        self._end()

    def _end(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()

    def cause(self) -> str:
        """The signal that ended it, or the last line of its log that names an error."""
        status = self._process.wait() if self._process is not None else 0
        if status - supervisor.BY_SIGNAL in signal.valid_signals():
            return f"ended by {signal.Signals(status - supervisor.BY_SIGNAL).name}"
        with self.log_file.open("rb") as file:
            file.seek(max(self._begin, self.log_file.stat().st_size - TAIL))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
        named = [line for line in lines if "Error" in line or "error:" in line]
        return next(filter(None, reversed(named or lines)), "no word")[-300:]


def serve(options: ServerOptions, model: str | None, log_file: Path, host: str, port: int) -> None:
    """Serve until interrupted; prints the endpoint once it answers.

    Raises:
        InputError: no model is named, its folder cannot be served, the server does not start or
            ends by itself.
    """
    if not model:
        raise InputError("--model: must name the model, found nothing; give it")
    check(options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        suppress(KeyboardInterrupt),
        Server(options, model, log_file, host=host, port=port) as server,
    ):
        name = socket.gethostname() if host in ANY_HOST else host
        print(f"http://{name}:{port}/v1", flush=True)
        while server.alive:
            time.sleep(POLL_S)
        raise InputError(f"the model's server ended: {server.cause()}; its log is {log_file}")


def _taken(host: str, port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
