"""Many requests to servers that speak OpenAI's chat protocol, none lost, none too many at once."""

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


BUSY = frozenset({408, 409, 425, 429})  # worth asking again, as are all from 500 on


OF_THE_REQUEST = frozenset({400, 413, 422})  # too long, say; another request may pass


KEY = "set the environment variable that caption.key_variable names"


REFUSED = {401: f"the key is not accepted; {KEY}", 403: f"the key is not allowed; {KEY}"}


LARGEST = 1 << 26  # bytes of an answer once unpacked; with log-probabilities it has 0.2 MB


SHUNNED_S = 5.0  # after a failure an endpoint is asked so much later, if there are others


class BusyError(Exception):
    """The server cannot answer now."""


class RejectedError(Exception):
    """The server will never answer this request, such as one longer than its context."""


@dataclass(frozen=True)
class Reply:
    """One completion.

    Attributes:
        text: of the answer; None if the model gave none.
        finish_reason: stop, or length if it was cut.
        tokens: with their log-probabilities; empty if the server gives none.
        prompt_tokens: of the request.
        cached_tokens: of those, from the server's prefix cache; 0 where it does not say.
        completion_tokens: of the answer.
    """

    text: str | None
    finish_reason: str | None
    tokens: list[Token]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


class Client:
    """Sends requests to the endpoint with the fewest under way; use it as a context manager.

    Args:
        endpoints: base URLs, such as http://localhost:8000/v1.
        key: sent as bearer token; empty for none.
        concurrency: requests under way at once on each endpoint.
        timeout: seconds that one attempt may take.
        patience: seconds after which no further attempt at a request is begun.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        key: str = "",
        concurrency: int,
        timeout: float,
        patience: float,
    ) -> None:
        self.under_way = dict.fromkeys(endpoints, 0)
        self._failed = dict.fromkeys(endpoints, -SHUNNED_S)  # when, by the loop's clock
        self.timeout, self.patience = timeout, patience
        self._key = key
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._places = asyncio.Semaphore(concurrency * len(self.under_way))
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
            InputError: it cannot be reached, refuses the key, or does not speak the protocol.
        """
        try:
            content = await self._call("GET", f"{endpoint}/models", Models)
            return [model.id for model in content.data]
        except (BusyError, RejectedError) as error:
            raise InputError(
                f"{endpoint}: must list its models at {endpoint}/models, found {error}; check"
                " caption.endpoints"
            ) from error

    async def ask(self, body: Mapping[str, Any], endpoint: str | None = None) -> Reply:
        """The completion of a chat request, asked for until it comes.

        Args:
            body: of the request.
            endpoint: whom to ask; by default the one with the fewest requests under way.

        Raises:
            RejectedError: the server refuses this request.
            BusyError: no answer within the patience.
            InputError: the key is refused.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(BusyError),
            wait=wait_random_exponential(multiplier=0.5, max=30),
            stop=stop_before_delay(self.patience),
            before_sleep=before_sleep_log(log, logging.INFO),
        )
        try:
            async with self._places:  # before the clock of patience starts
                async for attempt in retrying:
                    with attempt:
                        return await self._complete(body, endpoint)
        except RetryError as error:
            raise BusyError(str(error.last_attempt.exception())) from error
        raise AssertionError("a retry ends with an answer or an error")

    async def _complete(self, body: Mapping[str, Any], endpoint: str | None) -> Reply:
        endpoint = endpoint or self._next()
        self.under_way[endpoint] += 1
        try:
            url = f"{endpoint}/chat/completions"
            content = await self._call("POST", url, Completion, body)
        except BusyError:
            self._failed[endpoint] = asyncio.get_running_loop().time()
            raise
        finally:
            self.under_way[endpoint] -= 1
        if not content.choices:
            raise BusyError("an answer without a completion")
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

    def _next(self) -> str:
        """The endpoint with the fewest requests under way, of those that have not just failed."""
        now = asyncio.get_running_loop().time()

        def rank(url: str) -> tuple[bool, int]:
            return now - self._failed[url] < SHUNNED_S, self.under_way[url]

        return min(self.under_way, key=rank)

    async def _call(
        self, method: str, url: str, kind: type[T], body: Mapping[str, Any] | None = None
    ) -> T:
        if self._session is None:
            raise RuntimeError("the client must be entered before it is used")
        try:
            async with self._session.request(method, url, json=body) as response:
                if response.status in REFUSED:
                    raise InputError(f"{url}: HTTP {response.status}, {REFUSED[response.status]}")
                if response.status in BUSY or response.status >= 500:
                    raise BusyError(f"HTTP {response.status}")
                if response.status >= 400:
                    text = self._shown(await _bounded(response))
                    if response.status in OF_THE_REQUEST or method == "GET":
                        raise RejectedError(f"HTTP {response.status}: {text}")
                    raise InputError(f"{url}: must answer, found HTTP {response.status}: {text}")
                return msgspec.json.decode(await _bounded(response), type=kind)
        except TimeoutError as error:
            raise BusyError(f"no answer within {self.timeout:g} s") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BusyError(f"an answer that is none of the protocol ({error})") from error
        except aiohttp.ClientError as error:
            raise BusyError(f"{type(error).__name__}: {error}") from error

    def _shown(self, content: bytes) -> str:
        """The beginning of what a server says of an error, without the key, which some repeat."""
        text = content.decode(errors="replace").replace("\n", " ")
        return (text.replace(self._key, "***") if self._key else text)[:300]


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body of an answer.

    Raises:
        BusyError: it is larger than any that is meant.
    """
    content = bytearray()
    async for part in response.content.iter_chunked(1 << 16):
        content += part
        if len(content) > LARGEST:
            raise BusyError(f"an answer of more than {LARGEST >> 20} MB")
    return bytes(content)
