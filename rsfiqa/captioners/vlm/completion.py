"""What a server answers, of OpenAI's chat protocol as much as is used here.

With log-probabilities an answer is 0.2 MB; msgspec decodes what these types name ten times as fast
as a JSON library reads all of it.
"""

import msgspec


class Candidate(msgspec.Struct):
    """A token that might have come, and its natural log-probability."""

    token: str
    logprob: float


class Token(msgspec.Struct):
    """A token that came, and the likeliest ones at its place."""

    token: str
    logprob: float
    top_logprobs: list[Candidate] = []


class Logprobs(msgspec.Struct):
    """The tokens of an answer."""

    content: list[Token] | None = None


class Message(msgspec.Struct):
    """The text of an answer."""

    content: str | None = None


class Choice(msgspec.Struct):
    """One answer; it was cut if `finish_reason` is length."""

    message: Message
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Details(msgspec.Struct):
    """Of the prompt's tokens, how many came from the server's prefix cache."""

    cached_tokens: int | None = None


class Usage(msgspec.Struct):
    """Tokens that a request cost."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None


class Completion(msgspec.Struct):
    """The body of an answer to a chat request."""

    choices: list[Choice]
    usage: Usage | None = None


class Model(msgspec.Struct):
    """An entry of the list of models."""

    id: str


class Models(msgspec.Struct):
    """The body of an answer to GET /models."""

    data: list[Model]
