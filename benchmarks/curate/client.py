"""A service in a process of its own, and a plain client of it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.curate.hostile import FORM, Request, form
from benchmarks.figures import ROOT

ANSWER_S = 60.0


@dataclass(frozen=True)
class Running:
    """A service that runs.

    Attributes:
        process: of `rsfiqa serve`.
        address: host and port.
    """

    process: "subprocess.Popen[str]"
    address: tuple[str, int]

    @property
    def url(self) -> str:
        """Of the page."""
        return f"http://{self.address[0]}:{self.address[1]}"


@dataclass(frozen=True)
class Answer:
    """The answer to a request."""

    status: int
    headers: Message
    body: bytes


@contextmanager
def service(*words: str | Path, **variables: str) -> Iterator[Running]:
    """`rsfiqa serve` on a free port, as long as the block runs.

    Args:
        words: further options.
        variables: of its environment.

    Raises:
        RuntimeError: it did not start.
    """
    line = [sys.executable, "-m", "rsfiqa", "serve", "--port=0", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            url = urlsplit(process.stdout.readline().strip())
            if url.hostname is None or url.port is None:
                raise RuntimeError(f"{' '.join(line)}: ended with status {process.wait()}")
            yield Running(process, (url.hostname, url.port))
        finally:
            process.terminate()


def ask(
    address: tuple[str, int],
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a proper request."""
    with closing(HTTPConnection(*address, timeout=ANSWER_S)) as connection:
        connection.request(method, path, body, dict(headers or {}))
        found = connection.getresponse()
        return Answer(found.status, found.headers, found.read())


def post(address: tuple[str, int], content: bytes, path: str = "/score", **more: str) -> Answer:
    """Send the content of a file by a form."""
    return ask(address, "POST", path, form(content), {"Content-Type": FORM, **more})


def send(address: tuple[str, int], request: Request) -> int:
    """Send a request as it is; the status of its answer, 0 if the connection ends without one."""
    headers = [("Host", f"{address[0]}:{address[1]}"), *request.headers, ("Connection", "close")]
    lines = [f"POST {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    with socket.create_connection(address, timeout=ANSWER_S) as connection:
        try:
            for part in (head, *request.body):
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
        except OSError:  # the service has refused it and reads no further
            pass
        return _status(connection)


def _status(connection: socket.socket) -> int:
    answer = b""
    try:
        while len(answer) < 12 and (part := connection.recv(4096)):
            answer += part
    except ConnectionError:
        return 0
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
