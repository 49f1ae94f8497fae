"""Responses of a server, as far as they are used here, in the format of OpenAI's chat API.

With log-probabilities a response has 0.2 MB; msgspec decodes the fields of these types ten times as
fast as a JSON library decodes all of it.
"""

import msgspec


class Candidate(msgspec.Struct):
    """An alternative token and its natural log-probability."""

    token: str
    logprob: float


class Token(msgspec.Struct):
    """A token of the response and its most likely alternatives."""

    token: str
    logprob: float
    top_logprobs: list[Candidate] = []


class Logprobs(msgspec.Struct):
    """The tokens of a response."""

    content: list[Token] | None = None


class Message(msgspec.Struct):
    """The text of a response."""

    content: str | None = None


class Choice(msgspec.Struct):
    """One completion; `finish_reason` is length if it was cut."""

    message: Message
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Details(msgspec.Struct):
    """Prompt tokens that came from the server's prefix cache."""

    cached_tokens: int | None = None


class Usage(msgspec.Struct):
    """Tokens of a request and its response."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None


class Completion(msgspec.Struct):
    """Body of the response to a chat request."""

    choices: list[Choice]
    usage: Usage | None = None


class Model(msgspec.Struct):
    """An entry of the list of models."""

    id: str


class Models(msgspec.Struct):
    """Body of the response to GET /models."""

    data: list[Model]
