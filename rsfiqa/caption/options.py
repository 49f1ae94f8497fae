"""Options of the caption stage."""

from typing import Annotated, Any, Literal

from pydantic import Field

from rsfiqa.options import Options


class ServerOptions(Options):
    """The language model's own server: what it serves, on what, and how it is kept alive."""

    model: str | None = Field(
        None,
        description="vllm: the model's name on the servers; recorded with the captions.",
    )
    weights: str | None = Field(
        None,
        description="vllm, own server: the model's folder, as transformers saves it. ~ is expanded."
        " Without it the server downloads what `model` names.",
    )
    python: str | None = Field(
        None,
        description="vllm, own server: the interpreter of an environment that holds vllm; by"
        " default the one that runs the stage.",
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="vllm, own server: of weights and arithmetic; auto: as saved."
    )
    tensor_parallel: int = Field(
        1, ge=1, le=64, description="vllm, own server: GPUs over which one copy is spread."
    )
    data_parallel: int = Field(
        1, ge=1, le=64, description="vllm, own server: copies that share the requests."
    )
    max_model_len: int = Field(
        8192, ge=256, le=10**7, description="vllm, own server: tokens of a request and its answer."
    )
    gpu_memory: float = Field(
        0.9, gt=0, le=1, description="vllm, own server: share of a GPU's memory that it takes."
    )
    prefix_caching: bool = Field(
        True, description="vllm, own server: compute what requests begin with in common once."
    )
    structured_backend: Literal["xgrammar", "guidance", "outlines"] = Field(
        "xgrammar", description="vllm, own server: what holds answers to their schema."
    )
    server_arguments: str = Field(
        "",
        description="vllm, own server: further arguments of vllm's api_server, as in a shell.",
    )
    startup: float = Field(
        1200, gt=0, le=86400, description="vllm, own server: seconds until it must be up."
    )


class CaptionOptions(ServerOptions):
    """How a region is described and rated."""

    backend: Literal["rule_based", "vllm"] = Field(
        "rule_based",
        description="measured needs no weights: noise, blur, blockiness, exposure, contrast and"
        " colourfulness of the region, mapped to ratings and a sentence. vllm: a vision-language"
        " model behind a server that speaks OpenAI's chat protocol, such as vLLM's.",
    )
    long_side: int = Field(
        1024, ge=64, le=8192, description="Larger images are reduced to this; never enlarged."
    )
    endpoints: tuple[Annotated[str, Field(pattern=r"^https?://")], ...] = Field(
        (),
        description="vllm: base URLs of servers, such as http://localhost:8000/v1; without any, the"
        " job starts a server of its own and ends it.",
    )
    prompt: Literal["regions", "image"] = Field(
        "regions",
        description="vllm: regions asks for one region at a time, shown cut out; image asks for all"
        " regions of an image at once, shown by numbered marks.",
    )
    key_variable: str = Field(
        "RSFIQA_API_KEY", description="vllm: environment variable that holds the servers' key."
    )
    max_pixels: int = Field(
        1_003_520, ge=4096, le=10**8, description="vllm: pixels of a picture that is sent, at most."
    )
    max_tokens: int = Field(
        300, ge=32, le=10**5, description="vllm: tokens of a region's answer, at most."
    )
    temperature: float = Field(0.0, ge=0, le=2, description="vllm: of sampling; 0 takes the best.")
    attempts: int = Field(
        3, ge=1, le=20, description="vllm: how often a region is asked while answers are unusable."
    )
    concurrency: int = Field(
        32, ge=1, le=4096, description="vllm: requests under way at once on each server."
    )
    timeout: float = Field(120, gt=0, le=86400, description="vllm: seconds of one request.")
    patience: float = Field(
        600, ge=0, le=10**6, description="vllm: seconds after which a busy server is given up."
    )
    restarts: int = Field(
        2, ge=0, le=100, description="vllm, own server: how often it is started anew if it dies."
    )

    def recorded(self) -> dict[str, Any]:
        """The options that shape the captions; where and how fast they are made is left out."""
        names = {"backend", "long_side"}
        if self.backend == "vllm":
            names |= {"model", "prompt", "max_pixels", "max_tokens", "temperature", "attempts"}
            if not self.endpoints:
                names |= {"dtype", "server_arguments"}
        return self.model_dump(include=names)
