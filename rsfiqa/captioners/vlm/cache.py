"""Cache of a language model's responses, keyed by all that a response depends on."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rsfiqa.errors import InputError
from rsfiqa.runtime.shards import Shard

VERSION = 2  # of the file's layout
KEYS_PER_QUERY = 500


@dataclass(frozen=True)
class CachedResponse:
    """The final response about one region, valid or not.

    Attributes:
        raw: text of the response.
        reason: why it is not valid; empty if it is.
        expected: expected rating by name; empty without log-probabilities.
        attempts: number of requests that were sent.
        prompt_tokens: tokens of the last request.
        cached_tokens: how many of those came from the server's prefix cache.
        completion_tokens: tokens of all responses.
    """

    raw: str
    reason: str
    expected: dict[str, float | None]
    attempts: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


def key_of(**parts: Any) -> str:
    """A SHA-256 of all that a response depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def cache_path(shard: Shard) -> Path:
    """Path of the response cache of a shard of the caption stage."""
    return shard.path.parent / "responses" / f"{shard.name}.sqlite"


class ResponseCache:
    """Responses by key in an SQLite file; a context manager that closes it.

    Args:
        path: path of the file, which is created if it does not exist.

    Raises:
        InputError: the file is damaged or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._input_errors():
            self._connection = sqlite3.connect(path, check_same_thread=False)
        try:
            self._check_version()
        except InputError:
            self.close()
            raise

    def _check_version(self) -> None:
        """Set the version of a new file; refuse a file of another one."""
        try:
            # the rollback journal works on network file systems too; FULL waits for the disk
            self._connection.execute("PRAGMA synchronous = FULL")
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                with self._connection:
                    self._connection.execute(
                        "CREATE TABLE IF NOT EXISTS responses (key TEXT PRIMARY KEY, response TEXT)"
                        " WITHOUT ROWID"
                    )
                    self._connection.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{self.path}: damaged ({error}); delete it to send requests anew"
            ) from error
        if version not in (0, VERSION):
            raise InputError(
                f"{self.path}: expected responses of version {VERSION}, found {version}; delete it"
                " to send requests anew"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def get(self, keys: Sequence[str]) -> dict[str, CachedResponse]:
        """The cached responses among the keys."""
        responses: dict[str, CachedResponse] = {}
        with self._input_errors():
            for start in range(0, len(keys), KEYS_PER_QUERY):
                part = keys[start : start + KEYS_PER_QUERY]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, response FROM responses WHERE key IN ({marks})"
                for key, text in self._connection.execute(query, part):
                    responses[key] = CachedResponse(**json.loads(text))
        return responses

    def put(self, responses: Mapping[str, CachedResponse]) -> None:
        """Add responses; they are on the disk when this returns. Any thread may call it."""
        rows: Iterable[tuple[str, str]] = (
            (key, json.dumps(asdict(response))) for key, response in responses.items()
        )
        with self._lock, self._input_errors(), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO responses VALUES (?, ?)", rows)

    @contextmanager
    def _input_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise InputError(
                f"{self.path}: must be readable and writable, found {error}; free some disk space,"
                " or delete it to send requests anew"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
