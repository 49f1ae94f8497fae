"""The check of a server before work: does it serve the model, and take the largest request?"""

from typing import Any

import numpy as np

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.vlm import prompt
from rsfiqa.captioners.vlm.client import BusyError, Client, RejectedError
from rsfiqa.captioners.vlm.requests import request_body
from rsfiqa.captioners.vlm.server import Server
from rsfiqa.errors import InputError

PROBE_SEED = 0  # the seeds of other requests begin with 1


async def check_server(
    client: Client, endpoint: str, options: CaptionOptions, regions: int, *, own: Server | None
) -> None:
    """Check that a server serves the model and responds to the largest possible request.

    Args:
        client: client of the servers.
        endpoint: base URL of the server.
        options: options of the caption stage.
        regions: largest number of regions in an image.
        own: the server, if the job has started it.

    Raises:
        InputError: the model is not served, or the server rejects the request.
    """
    models = await client.models(endpoint)
    if options.model not in models:
        raise InputError(
            f"{endpoint}: must serve {options.model} (caption.model), found"
            f" {', '.join(models) or 'nothing'}; name one of these"
        )
    body = largest_request(options, regions)
    try:
        await client.complete(body, endpoint)
    except (RejectedError, BusyError) as error:
        if own is not None and not own.alive:
            raise InputError(
                f"the model's server ended at its first request: {own.cause()}; its log is"
                f" {own.log_file}"
            ) from error
        raise InputError(
            f"{endpoint}: must respond to two pictures of {options.max_pixels} pixels with"
            f" {body['max_tokens']} tokens, found {error}; lower caption.max_pixels or"
            " caption.max_tokens, raise caption.server.max_model_len, or use a vision-language"
            " model"
        ) from error


def largest_request(options: CaptionOptions, regions: int) -> dict[str, Any]:
    """The body of a request about grey pictures of the largest size.

    Args:
        options: options of the caption stage.
        regions: largest number of regions in an image.
    """
    side = int(options.max_pixels**0.5)
    grey = prompt.picture(np.full((side, side, 3), 128, np.uint8), options.max_pixels)
    if options.prompt == "image":
        body = request_body(options, prompt.image_messages(grey, grey, regions), regions)
    else:
        body = request_body(options, prompt.region_messages(grey, grey), None)
    return body | {"seed": PROBE_SEED}
