"""A stand-in for a model's server: OpenAI's chat API on a free port of this machine."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

from aiohttp import web

MODEL = "tiny"
GOOD = {
    "content": "a wall",
    "distortions": [{"family": "blur", "severity": 2}, {"family": "noise", "severity": 4}],
    "color": "good",
    "noise": "poor",
    "artifact": "excellent",
    "blur": "fair",
    "overall": "fair",
}


def completion(
    text: str | None = None, finish: str = "stop", regions: int = 0, **changes: Any
) -> dict[str, Any]:
    """The body of a response; its tokens are its characters, each of probability 1.

    Args:
        text: text of the response; by default an answer about one region, or about several.
        finish: stop or length.
        regions: number of regions; their contents end in their numbers. 0 for one without number.
        changes: fields of the answer that differ from `GOOD`.
    """
    one = GOOD | changes
    several = {f"region_{i}": one | {"content": f"wall {i}"} for i in range(1, regions + 1)}
    text = json.dumps(several or one) if text is None else text
    tokens = [{"token": c, "logprob": 0.0, "top_logprobs": []} for c in text]
    return {
        "choices": [
            {
                "message": {"role": "assistant", "content": text},
                "finish_reason": finish,
                "logprobs": {"content": tokens},
            }
        ],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 75},
        },
    }


class Server:
    """A server that responds with `respond(body, number)`; a context manager.

    Args:
        respond: the completion or the HTTP status for the body of a request and its number.
        key: API key that clients must send; empty for none.
        delay: time of each response, seconds.
        port: port to listen on; 0 for a free one.
        model: name of the model.

    Attributes:
        bodies: requests in the order of their arrival, without those of the check before work.
        checks: requests of the check before work, whose seed is 0.
        pending: number of requests without a response yet.
        most: largest number of pending requests.
    """

    def __init__(
        self,
        respond: Callable[[dict[str, Any], int], dict[str, Any] | int] = lambda body, number: (
            completion()
        ),
        *,
        key: str = "",
        delay: float = 0.0,
        port: int = 0,
        model: str = MODEL,
    ) -> None:
        self.respond, self.key, self.delay = respond, key, delay
        self.port, self.model = port, model
        self.bodies: list[dict[str, Any]] = []
        self.checks: list[dict[str, Any]] = []
        self.pending = self.most = 0
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Server":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self.serve())

    async def serve(self) -> None:
        """Serve until `close` is called."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    def _denied(self, request: web.Request) -> bool:
        return bool(self.key) and request.headers.get("Authorization") != f"Bearer {self.key}"

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response()

    async def _models(self, request: web.Request) -> web.Response:
        if self._denied(request):
            return web.Response(status=401)
        return web.json_response({"data": [{"id": self.model}]})

    async def _complete(self, request: web.Request) -> web.Response:
        if self._denied(request):
            return web.Response(status=401)
        body = await request.json()
        (self.bodies if body["seed"] else self.checks).append(body)
        number = len(self.bodies)
        self.pending += 1
        self.most = max(self.most, self.pending)
        await asyncio.sleep(self.delay)
        self.pending -= 1
        response = self.respond(body, number)
        if isinstance(response, int):
            return web.Response(status=response, text="too long by far")
        return web.json_response(response)
