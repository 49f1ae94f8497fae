"""Client of servers with OpenAI's chat API: bounded concurrency, retries, balanced endpoints."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import msgspec
from tenacity import (
    AsyncRetrying,
    RetryError,
    before_sleep_log,
    retry_if_exception_type,
    stop_before_delay,
    wait_random_exponential,
)

from rsfiqa.captioners.vlm.completion import Completion, Details, Models, Token, Usage
from rsfiqa.errors import InputError

T = TypeVar("T")

log = logging.getLogger("rsfiqa")

# HTTP status by what follows from it; all from 500 on are retried too
RETRIED = frozenset({408, 409, 425, 429})
REJECTED = frozenset({400, 413, 422})  # such as a request that is too long; others may pass
KEY_HINT = "set the environment variable that caption.key_variable names"
DENIED = {
    401: f"the key is not accepted; {KEY_HINT}",
    403: f"the key is not allowed; {KEY_HINT}",
}

MAX_RESPONSE = 1 << 26  # bytes once unpacked; with log-probabilities a response has 0.2 MB
COOL_DOWN_S = 5.0  # after a failure, an endpoint gets no request for so long if there are others


class BusyError(Exception):
    """The server cannot respond now; the request can be retried."""


class RejectedError(Exception):
    """The server rejects this request, such as one longer than its context."""


@dataclass(frozen=True)
class Reply:
    """One completion.

    Attributes:
        text: text of the response; None without text.
        finish_reason: stop, or length if the text was cut.
        tokens: tokens with log-probabilities; empty if the server gives none.
        prompt_tokens: number of tokens of the request.
        cached_tokens: how many of those came from the server's prefix cache; 0 if unknown.
        completion_tokens: number of tokens of the response.
    """

    text: str | None
    finish_reason: str | None
    tokens: list[Token]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


class Client:
    """Sends requests to the endpoint with the fewest pending ones; an async context manager.

    Args:
        endpoints: base URLs, such as http://localhost:8000/v1.
        key: API key, sent as bearer token; empty for none.
        concurrency: concurrent requests to each endpoint.
        timeout: longest time of one attempt, seconds.
        retry_timeout: time after which a request is not retried, seconds.
        max_response: size of the largest response that is read, bytes once unpacked.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        key: str = "",
        concurrency: int,
        timeout: float,
        retry_timeout: float,
        max_response: int = MAX_RESPONSE,
    ) -> None:
        self._pending = dict.fromkeys(endpoints, 0)
        self._failed_at = dict.fromkeys(endpoints, -COOL_DOWN_S)  # by the clock of the event loop
        self.timeout, self.retry_timeout = timeout, retry_timeout
        self.max_response = max_response
        self._key = key
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._slots = asyncio.Semaphore(concurrency * len(self._pending))
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Client":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=self.timeout),
            headers=self._headers,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def models(self, endpoint: str) -> list[str]:
        """The names of the models that an endpoint serves.

        Raises:
            InputError: the endpoint cannot be reached, denies the key, or has another API.
        """
        try:
            content = await self._call("GET", f"{endpoint}/models", Models)
            return [model.id for model in content.data]
        except (BusyError, RejectedError) as error:
            raise InputError(
                f"{endpoint}: must list its models at {endpoint}/models, found {error}; check"
                " caption.endpoints"
            ) from error

    async def complete(self, body: Mapping[str, Any], endpoint: str | None = None) -> Reply:
        """The completion of a chat request, which is retried while the server is busy.

        Args:
            body: body of the request.
            endpoint: base URL; by default the one with the fewest pending requests.

        Raises:
            RejectedError: the server rejects this request.
            BusyError: no response within `retry_timeout`.
            InputError: the server denies the key.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(BusyError),
            wait=wait_random_exponential(multiplier=0.5, max=30),
            stop=stop_before_delay(self.retry_timeout),
            before_sleep=before_sleep_log(log, logging.INFO),
        )
        try:
            async with self._slots:  # before the time of the retries starts
                async for attempt in retrying:
                    with attempt:
                        return await self._attempt(body, endpoint)
        except RetryError as error:
            raise BusyError(str(error.last_attempt.exception())) from error
        raise AssertionError("tenacity returns a result or raises")

    async def _attempt(self, body: Mapping[str, Any], endpoint: str | None) -> Reply:
        endpoint = endpoint or self._least_busy()
        self._pending[endpoint] += 1
        try:
            url = f"{endpoint}/chat/completions"
            content = await self._call("POST", url, Completion, body)
        except BusyError:
            self._failed_at[endpoint] = asyncio.get_running_loop().time()
            raise
        finally:
            self._pending[endpoint] -= 1
        if not content.choices:
            raise BusyError("a response without a completion")
        choice, usage = content.choices[0], content.usage or Usage()
        details = usage.prompt_tokens_details or Details()
        return Reply(
            text=choice.message.content,
            finish_reason=choice.finish_reason,
            tokens=(choice.logprobs and choice.logprobs.content) or [],
            prompt_tokens=usage.prompt_tokens or 0,
            cached_tokens=details.cached_tokens or 0,
            completion_tokens=usage.completion_tokens or 0,
        )

    def _least_busy(self) -> str:
        """The endpoint with the fewest pending requests, of those that have not just failed."""
        now = asyncio.get_running_loop().time()

        def rank(url: str) -> tuple[bool, int]:
            return now - self._failed_at[url] < COOL_DOWN_S, self._pending[url]

        return min(self._pending, key=rank)

    async def _call(
        self, method: str, url: str, kind: type[T], body: Mapping[str, Any] | None = None
    ) -> T:
        if self._session is None:
            raise RuntimeError("the client must be entered before it is used")
        try:
            async with self._session.request(method, url, json=body) as response:
                if response.status in DENIED:
                    raise InputError(f"{url}: HTTP {response.status}, {DENIED[response.status]}")
                if response.status in RETRIED or response.status >= 500:
                    raise BusyError(f"HTTP {response.status}")
                if response.status >= 400:
                    text = self._excerpt(await self._read(response))
                    if response.status in REJECTED or method == "GET":
                        raise RejectedError(f"HTTP {response.status}: {text}")
                    raise InputError(f"{url}: must answer, found HTTP {response.status}: {text}")
                return msgspec.json.decode(await self._read(response), type=kind)
        except TimeoutError as error:
            raise BusyError(f"no response within {self.timeout:g} s") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BusyError(f"a response of another API ({error})") from error
        except aiohttp.ClientError as error:
            raise BusyError(f"{type(error).__name__}: {error}") from error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body of a response.

        Raises:
            BusyError: the body is larger than `max_response`.
        """
        content = bytearray()
        async for part in response.content.iter_chunked(1 << 16):
            content += part
            if len(content) > self.max_response:
                raise BusyError(f"a response of more than {self.max_response >> 20} MB")
        return bytes(content)

    def _excerpt(self, content: bytes) -> str:
        """The beginning of an error message, without the key, which some servers repeat."""
        text = content.decode(errors="replace").replace("\n", " ")
        return (text.replace(self._key, "***") if self._key else text)[:300]
