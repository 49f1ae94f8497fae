"""Pictures out of the body of a request: a form with files, or JSON with base64."""

import base64
import binascii
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request

from rsfiqa.errors import first_line
from rsfiqa.options import describe
from rsfiqa.score.serve.limits import MAX_BATCH, RefusalError

FIELD = "image"  # of a form
MAX_FIELDS = 8  # of a form that are no files; they are ignored
Name = Annotated[str | None, Field(max_length=4096, description="Returned with the result.")]


class Encoded(BaseModel, extra="forbid"):
    """A picture in JSON; a URL is no picture, and nothing is fetched."""

    image: str = Field(description="Bytes of the file, base64.")
    name: Name = None


class EncodedBatch(BaseModel, extra="forbid"):
    """Several pictures in JSON."""

    images: list[Encoded] = Field(min_length=1, max_length=MAX_BATCH)


T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class Upload:
    """A picture that has arrived.

    Attributes:
        name: that the client gave it; it is returned and names no file here.
        path: of its file.
    """

    name: str | None
    path: Path


@asynccontextmanager
async def uploads(request: Request, most: int) -> AsyncIterator[list[Upload]]:
    """The pictures of a request, in files that are gone afterwards.

    Args:
        request: of any content type.
        most: largest number of pictures.

    Raises:
        RefusalError: another content type, a damaged body, or no or too many pictures.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise RefusalError(415, f"Content-Encoding: must be none, found {encoding[:80]!r}")
    with TemporaryDirectory(prefix="rsfiqa-serve-") as folder:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            yield await _from_form(request, Path(folder), most)
        elif kind == "application/json":
            body = await _body(request)
            yield await run_in_threadpool(_from_json, body, Path(folder), most)
        else:
            raise RefusalError(
                415,
                "Content-Type: must be multipart/form-data or application/json, found"
                f" {kind[:80]!r}; send a form with files in the field {FIELD}",
            )


async def _body(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise RefusalError(400, "body: ended before its end") from error


async def _from_form(request: Request, folder: Path, most: int) -> list[Upload]:
    try:
        async with request.form(max_files=most, max_fields=MAX_FIELDS, max_part_size=4096) as form:
            files = [item for item in form.getlist(FIELD) if isinstance(item, UploadFile)]
            kept = await run_in_threadpool(_keep, files, folder)
    except (RefusalError, OSError):
        raise
    except Exception as error:  # parsers raise several kinds, none of which concerns us
        detail = getattr(error, "detail", None) or first_line(error)
        raise RefusalError(400, f"body: must be a complete form, found {detail}") from error
    if not 1 <= len(kept) <= most:
        allowed = "one file" if most == 1 else f"1 to {most} files"
        raise RefusalError(
            422,
            f"{FIELD}: must be {allowed} of the form, found {len(kept)}; send it as by curl -F"
            f" {FIELD}=@photo.jpg",
        )
    return kept


def _keep(files: list[UploadFile], folder: Path) -> list[Upload]:
    """Copy the files of a form where another process can read them."""
    kept = []
    for number, file in enumerate(files):
        path = folder / str(number)
        with path.open("wb") as target:
            shutil.copyfileobj(file.file, target, 2**20)
        kept.append(Upload(_printable(file.filename), path))
    return kept


def _from_json(body: bytes, folder: Path, most: int) -> list[Upload]:
    if most == 1:
        return [_decoded(_parsed(body, Encoded), folder / "0")]
    images = _parsed(body, EncodedBatch).images
    return [_decoded(image, folder / str(number)) for number, image in enumerate(images)]


def _parsed(body: bytes, kind: type[T]) -> T:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise RefusalError(
                400, f"body: must be complete JSON, found {first['ctx']['error']}; mend it"
            ) from error
        detail = describe(error, "body")
        raise RefusalError(422, detail if len(detail) < 300 else f"{detail[:300]}...") from error


def _decoded(encoded: Encoded, path: Path) -> Upload:
    try:
        path.write_bytes(base64.b64decode(encoded.image, validate=True))
    except (binascii.Error, ValueError) as error:
        raise RefusalError(
            422, f"image: must be base64 of a file, found {encoded.image[:40]!r} ({error})"
        ) from error
    return Upload(_printable(encoded.name), path)


def _printable(name: str | None) -> str | None:
    """A name that can be written in JSON."""
    return None if name is None else name.encode("utf-8", "replace").decode("utf-8")
