"""The HTTP interface: scores, health, metrics, documentation, and the page."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import fastapi_offline
from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

import rsfiqa
from rsfiqa.errors import InputError, first_line
from rsfiqa.score.serve.answer import AnswerOptions, answer
from rsfiqa.score.serve.gate import refusal
from rsfiqa.score.serve.limits import MAX_BATCH, Limits, RefusalError
from rsfiqa.score.serve.metrics import Metrics
from rsfiqa.score.serve.pool import NoProcessError, PictureError, PictureTimeoutError, Pool
from rsfiqa.score.serve.results import Batch, Detail, Failed, Health, Scored
from rsfiqa.score.serve.uploads import FIELD, Encoded, EncodedBatch, Upload, uploads

PAGE = Path(__file__).with_name("page")
MAX_PREVIEW = 2048  # pixels
# Swagger UI writes style attributes; its scripts come from here all the same.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
BEARER = HTTPBearer(auto_error=False, description="The token of the service, if it has one.")
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": Detail, "description": text}
    for code, text in {
        400: "The body is damaged.",
        401: "The token is missing or wrong.",
        408: "The body did not arrive in time.",
        413: "The body or the picture is too large.",
        415: "Neither a form nor JSON.",
        422: "No picture, or none that can be read.",
        500: "The picture ended the process that scored it.",
        503: "Too many requests wait; Retry-After says when to try again.",
        504: "The picture took too long.",
    }.items()
}


class Service:
    """Scores uploads in the processes of a pool.

    Args:
        pool: processes that score.
        label: of the checkpoint.
        limits: of pictures.
        metrics: to count in.
        needs_token: whether requests need a token.
    """

    def __init__(
        self, pool: Pool, label: str, limits: Limits, metrics: Metrics, *, needs_token: bool
    ) -> None:
        self.pool, self.limits, self.metrics = pool, limits, metrics
        self.health = Health(
            checkpoint=label,
            version=rsfiqa.__version__,
            processes=pool.processes,
            max_upload=limits.upload,
            max_pixels=limits.pixels,
            needs_token=needs_token,
        )

    async def score(self, upload: Upload, preview: int = 0) -> Scored | Failed:
        """The answer about one picture, also if it ended its process."""
        with self.metrics.seconds.time():
            found = await self._answer(upload.path, AnswerOptions(self.limits.pixels, preview))
        self.metrics.pictures.labels(found.status).inc()
        self.metrics.restarts.set(self.pool.restarts)
        return found.model_copy(update={"name": upload.name})

    async def score_all(self, pictures: Sequence[Upload]) -> list[Scored | Failed]:
        """The answers about several pictures, no more at once than there are processes."""
        free = asyncio.Semaphore(self.pool.processes)

        async def score(upload: Upload) -> Scored | Failed:
            async with free:
                return await self.score(upload)

        return list(await asyncio.gather(*map(score, pictures)))

    async def _answer(self, path: Path, options: AnswerOptions) -> Scored | Failed:
        try:
            found: Scored | Failed = await asyncio.wrap_future(
                self.pool.submit(answer, str(path), options)
            )
        except PictureTimeoutError as error:
            return Failed(code=504, detail=f"picture: {error}; reduce it")
        except PictureError as error:
            return Failed(code=500, detail=f"picture: {error}")
        except (NoProcessError, InputError) as error:
            return Failed(code=503, detail=f"service: {first_line(error)}; try again later")
        return found


def make_app(service: Service) -> FastAPI:
    """The service without its gate."""
    app = FastAPI(
        title="RSFIQA",
        version=rsfiqa.__version__,
        description="Scores pictures without a reference, and names the worst region and why.",
        docs_url=None,
        redoc_url=None,
    )
    _add_scores(app, service)
    _add_state(app, service)
    _add_page(app)

    @app.exception_handler(RefusalError)
    async def refused(_: Request, error: RefusalError) -> JSONResponse:
        return refusal(error)

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        rule, found = first["msg"][:1].lower() + first["msg"][1:], first.get("input")
        detail = f"{first['loc'][-1]}: {rule}, found {found!r}; correct it"
        return refusal(RefusalError(422, detail))

    @app.exception_handler(OSError)
    async def full(_: Request, error: OSError) -> JSONResponse:
        detail = f"service: cannot keep the upload ({error.strerror or error}); try again later"
        return refusal(RefusalError(503, detail, retry_after=60))

    return app


def _add_scores(app: FastAPI, service: Service) -> None:
    """Add the paths that score."""
    documented: dict[str, Any] = {"responses": ERRORS, "dependencies": [Depends(BEARER)]}

    @app.post("/score", openapi_extra=_body(Encoded, several=False), **documented)
    async def score(
        request: Request,
        preview: Annotated[
            int, Query(ge=0, le=MAX_PREVIEW, description="Long side of a preview; 0 for none.")
        ] = 0,
    ) -> Scored:
        """Score one picture: a form with a file in the field image, or JSON with base64."""
        async with uploads(request, most=1) as (upload,):
            found = await service.score(upload, preview)
        if isinstance(found, Failed):
            raise RefusalError(found.code, found.detail, 5 if found.code == 503 else None)
        return found

    @app.post("/score/batch", openapi_extra=_body(EncodedBatch, several=True), **documented)
    async def score_batch(request: Request) -> Batch:
        """Score several pictures; one that cannot be scored has the status failed."""
        async with uploads(request, most=MAX_BATCH) as pictures:
            return Batch(results=await service.score_all(pictures))


def _add_state(app: FastAPI, service: Service) -> None:
    """Add the paths that tell about the service."""

    @app.get("/health")
    async def health() -> Health:
        """Whether the service answers, and within which bounds."""
        return service.health

    @app.get("/metrics", response_class=Response, dependencies=[Depends(BEARER)])
    async def metrics() -> Response:
        """Figures in the text format of Prometheus."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _add_page(app: FastAPI) -> None:
    """Add the page, the page of the documentation, and their parts."""

    def add(path: str, file: Path, headers: dict[str, str] | None = None) -> None:
        async def send() -> FileResponse:
            return FileResponse(file, headers=headers)

        app.add_api_route(path, send, include_in_schema=False)

    add("/", PAGE / "index.html")
    add("/docs", PAGE / "docs.html", {"Content-Security-Policy": DOCS_POLICY})
    for name in ("app.js", "app.css", "docs.js"):
        add(f"/{name}", PAGE / name)
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        add(f"/swagger/{name}", Path(fastapi_offline.__file__).with_name("static") / name)


def _body(encoded: type[BaseModel], *, several: bool) -> dict[str, Any]:
    """The description of a body that is read by hand."""
    file: dict[str, Any] = {"type": "string", "format": "binary"}
    field = {"type": "array", "items": file, "maxItems": MAX_BATCH} if several else file
    form = {"type": "object", "required": [FIELD], "properties": {FIELD: field}}
    content = {
        "multipart/form-data": {"schema": form},
        "application/json": {"schema": _inlined(encoded.model_json_schema())},
    }
    return {"requestBody": {"required": True, "content": content}}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its definitions in place, since the document has others of its own."""
    definitions = schema.pop("$defs", {})

    def resolve(part: Any) -> Any:
        if isinstance(part, dict):
            name = part.get("$ref", "").rpartition("/")[2]
            return resolve(definitions[name]) if name else {k: resolve(v) for k, v in part.items()}
        return [resolve(item) for item in part] if isinstance(part, list) else part

    inlined: dict[str, Any] = resolve(schema)
    return inlined
