"""What every request passes before the service sees it: access, bounds of its body, headers."""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rsfiqa.score.serve.access import Access
from rsfiqa.score.serve.limits import HELD_UPLOADS, Limits, RefusalError
from rsfiqa.score.serve.metrics import Metrics

SCORING = frozenset({"/score", "/score/batch"})
DRAIN_BYTES, DRAIN_S = 2**22, 1.0  # of a refused body that are read, so that its sender listens
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Gate:
    """An ASGI application around the service.

    Args:
        app: the service.
        access: who may ask.
        limits: of bodies and of the queue.
        metrics: counts requests.
        processes: number of pictures that are scored at once.
        mean_seconds: time of a picture, of which the time to retry follows.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        limits: Limits,
        metrics: Metrics,
        *,
        processes: int,
        mean_seconds: Callable[[], float],
    ) -> None:
        self.app, self.access, self.limits, self.metrics = app, access, limits, metrics
        self.processes, self.mean_seconds = processes, mean_seconds
        self.admitted = 0
        self.held = 0  # bytes of all bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the service do it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = self._answering(scope, send)
        scores = scope["path"] in SCORING and scope["method"] == "POST"
        try:
            self.access.check(scope["path"], headers)
            self._check_length(headers)
            if scores:
                self._check_queue()
        except RefusalError as error:
            await _drain(receive, headers)
            await refusal(error)(scope, receive, answer)
            return
        await self._pass(scope, receive, answer, scores)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, scores: bool) -> None:
        body = _Body(self, receive)
        self._admit(scores)
        try:
            await self.app(scope, body.receive, send)
        finally:
            self._admit(-scores)
            self.held -= body.size

    def _admit(self, change: int) -> None:
        self.admitted += change
        self.metrics.admitted.set(self.admitted)

    def _check_length(self, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.limits.upload:
            raise self.too_large(length)

    def _check_queue(self) -> None:
        if self.admitted >= self.processes + self.limits.queue:
            raise RefusalError(
                503, f"queue: is full with {self.admitted} requests; try again", self.retry_after()
            )

    def too_large(self, size: object) -> RefusalError:
        """The refusal of a body of `size` bytes."""
        limit = f"{self.limits.upload / 1e6:g} MB"
        return RefusalError(413, f"body: must have at most {limit}, found {size} bytes; reduce it")

    def retry_after(self) -> int:
        """Seconds until the requests that wait now are likely to be answered."""
        return max(1, math.ceil(self.admitted * self.mean_seconds() / self.processes))

    def _answering(self, scope: Scope, send: Send) -> Send:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                self.metrics.count(scope["path"], message["status"])
            await send(message)

        return answer


class _Body:
    """Receives the body of a request within the bounds of a gate.

    Attributes:
        size: bytes so far.
    """

    def __init__(self, gate: Gate, receive: Receive) -> None:
        self.gate, self._receive = gate, receive
        self.size = 0
        self._deadline = asyncio.get_running_loop().time() + gate.limits.upload_seconds
        self._complete = False

    async def receive(self) -> Message:
        """The next part of the body.

        Raises:
            RefusalError: the body is too large or too slow, or too many are held.
        """
        if self._complete:  # waits for the end of the connection
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as error:
            limit = f"{self.gate.limits.upload_seconds:g} s"
            raise RefusalError(408, f"body: must arrive within {limit}; send less") from error
        self._count(len(message.get("body", b"")))
        self._complete = not message.get("more_body", False)
        return message

    def _count(self, size: int) -> None:
        self.size += size
        self.gate.held += size
        if self.size > self.gate.limits.upload:
            raise self.gate.too_large(f"more than {self.size - 1}")
        if self.gate.held > HELD_UPLOADS * self.gate.limits.upload:
            raise RefusalError(
                503, "uploads: too many bytes are held; try again", self.gate.retry_after()
            )


def refusal(error: RefusalError) -> JSONResponse:
    """The answer to a refused request; the connection ends, since its body may go on."""
    headers = error.headers | {"Connection": "close"}
    return JSONResponse({"detail": error.detail}, error.status, headers)


async def _drain(receive: Receive, headers: Headers) -> None:
    """Read a little of a body that is refused: who still sends does not see the answer."""
    if "expect" in headers:  # it waits for the answer
        return
    size = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while size < DRAIN_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
