"""The server of `rsfiqa serve`: address, processes, and their end."""

import logging
import os
import signal
import socket
from contextlib import closing, suppress
from pathlib import Path

import uvicorn

from rsfiqa import checkpoints
from rsfiqa.errors import InputError
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.serve.access import MIN_TOKEN, Access, is_loopback, own_names
from rsfiqa.score.serve.app import Service, make_app
from rsfiqa.score.serve.connections import TimedProtocol
from rsfiqa.score.serve.gate import Gate
from rsfiqa.score.serve.limits import Limits
from rsfiqa.score.serve.metrics import Metrics
from rsfiqa.score.serve.pool import Pool
from rsfiqa.score.workers import Setup, count_processes

log = logging.getLogger("rsfiqa")

HEADER_BYTES = 2**16  # of the headers of a request
MAX_CONNECTIONS = 512
GRACE_S = 5  # in which requests are answered after Ctrl-C
ALL_ADDRESSES = frozenset({"0.0.0.0", "::"})


def run(
    options: ScoreOptions,
    *,
    checkpoint: Path | None,
    host: str,
    port: int,
    allow_host: tuple[str, ...],
    token_variable: str,
    workers: int,
    limits: Limits,
) -> None:
    """Serve until interrupted; prints the address as soon as pictures can be scored.

    Args:
        options: of the scorer.
        checkpoint: folder of the checkpoint; None for the one that comes with the package.
        host: address to listen on.
        port: port to listen on; 0 for a free one.
        allow_host: further names under which the service is reached.
        token_variable: environment variable that holds the token.
        workers: number of processes; 0 for one per core, or one if there is a GPU.
        limits: of requests and pictures.

    Raises:
        InputError: an address that cannot be used, no token where one is needed, or a checkpoint
            that cannot be used.
    """
    token = read_token(host, token_variable)
    access = Access(own_names(host, allow_host), is_loopback(host), token)
    folder = checkpoints.folder_or_packaged(checkpoint)
    label = checkpoints.label_of(*checkpoints.read_card(folder))
    metrics = Metrics()
    pool = Pool(Setup(folder, options, None), count_processes(workers, options), limits.seconds)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), closing(listen(host, port)) as listener, closing(pool):
        pool.start()
        service = Service(pool, label, limits, metrics, needs_token=token is not None)
        gate = Gate(
            make_app(service),
            access,
            limits,
            metrics,
            processes=pool.processes,
            mean_seconds=lambda: pool.mean_seconds,
        )
        print(_url(host, listener.getsockname()[1], token), flush=True)
        _server(gate).run(sockets=[listener])


def _server(gate: Gate) -> uvicorn.Server:
    config = uvicorn.Config(
        gate,
        http=TimedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_graceful_shutdown=GRACE_S,
    )
    return uvicorn.Server(config)


def read_token(host: str, variable: str) -> str | None:
    """The token of the environment; None if there is none and none is needed.

    Raises:
        InputError: none for an address that other machines reach, or one that is easily guessed.
    """
    token = os.environ.get(variable, "")
    if not token and is_loopback(host):
        return None
    if len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        found = f"one of {len(token)} characters" if token else "none"
        raise InputError(
            f"--host: {host} needs a token of {MIN_TOKEN} or more letters and digits in {variable},"
            f" found {found}; set {variable}=$(openssl rand -hex 16)"
        )
    return token


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on an address, before models are loaded in vain.

    Raises:
        InputError: no address of this machine, or a port that is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"--host: must be an address of this machine, found {host} ({error}); give 127.0.0.1"
        ) from error
    try:
        return socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--port: must be free on {host}, found {port} ({error}); choose another"
        ) from error


def _url(host: str, port: int, token: str | None) -> str:
    """The address of the page; its part behind # stays in the browser."""
    name = socket.gethostname() if host in ALL_ADDRESSES else host
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/" + ("#token=TOKEN" if token else "")
