"""Answers of a language model, kept by what was asked: none is paid for twice or lost."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsfiqa.errors import InputError

VERSION = 1


AT_ONCE = 500  # keys in one query


@dataclass(frozen=True)
class CachedResponse:
    """One region's final answer, usable or not.

    Attributes:
        raw: the model's text.
        reason: why it cannot be used; empty if it can.
        expected: expected rating by name; empty without log-probabilities.
        attempts: how often it was asked.
        prompt_tokens: of the last attempt.
        cached_tokens: of those, served from the server's prefix cache.
        completion_tokens: of all attempts.
    """

    raw: str
    reason: str
    expected: dict[str, float | None]
    attempts: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


def key_of(**parts: Any) -> str:
    """A SHA-256 of everything that an answer depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class ResponseCache:
    """Answers by key in one SQLite file per shard; what `put` has returned from is durable.

    Raises:
        InputError: the file is damaged or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._guarded():
            self._connection = sqlite3.connect(path, check_same_thread=False)
        try:
            # the rollback journal works on network file systems too; FULL waits for the disk
            self._connection.execute("PRAGMA synchronous = FULL")
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                with self._connection:
                    self._connection.execute(
                        "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT)"
                        " WITHOUT ROWID"
                    )
                    self._connection.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path}: damaged ({error}); delete it to ask again") from error
        if version not in (0, VERSION):
            raise InputError(
                f"{path}: expected answers of version {VERSION}, found {version}; delete it to ask"
                " again"
            )

    def get(self, keys: Sequence[str]) -> dict[str, CachedResponse]:
        """The answers there are."""
        found: dict[str, CachedResponse] = {}
        with self._guarded():
            for start in range(0, len(keys), AT_ONCE):
                part = keys[start : start + AT_ONCE]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, answer FROM answers WHERE key IN ({marks})"
                for key, text in self._connection.execute(query, part):
                    found[key] = CachedResponse(**json.loads(text))
        return found

    def put(self, answers: Mapping[str, CachedResponse]) -> None:
        """Keep answers; they are on the disk when this returns. From any thread."""
        rows: Iterable[tuple[str, str]] = (
            (key, json.dumps(asdict(answer))) for key, answer in answers.items()
        )
        with self._lock, self._guarded(), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise InputError(
                f"{self.path}: must be readable and writable, found {error}; make room, or delete"
                " it to ask again"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
