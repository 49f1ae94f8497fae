"""Options of the caption stage."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from rsfiqa.captioners import CAPTIONERS
from rsfiqa.options import OPERATIONAL, Options
from rsfiqa.registry import choice

Endpoint = Annotated[str, Field(pattern=r"^https?://")]
if TYPE_CHECKING:
    Backend = str
else:
    Backend = choice(CAPTIONERS)


class ServerOptions(Options):
    """The vLLM server that a caption job starts if no endpoint is given."""

    weights: Annotated[str | None, OPERATIONAL] = Field(
        None,
        description="Folder of the model as transformers saves it, ~ is expanded; without it vLLM"
        " downloads what `model` names.",
    )
    python: Annotated[str | None, OPERATIONAL] = Field(
        None,
        description="Interpreter of an environment with vllm; by default the one that runs the"
        " stage.",
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="Data type of weights and arithmetic; auto takes that of the weights."
    )
    tensor_parallel: Annotated[int, OPERATIONAL] = Field(
        1, ge=1, le=64, description="GPUs over which one copy of the model is spread."
    )
    data_parallel: Annotated[int, OPERATIONAL] = Field(
        1, ge=1, le=64, description="Copies of the model that share the requests."
    )
    max_model_len: Annotated[int, OPERATIONAL] = Field(
        8192, ge=256, le=10**7, description="Longest request with its response, tokens."
    )
    gpu_memory_utilization: Annotated[float, OPERATIONAL] = Field(
        0.9, gt=0, le=1, description="Fraction of a GPU's memory that the server takes."
    )
    prefix_caching: Annotated[bool, OPERATIONAL] = Field(
        True, description="Compute the common beginning of requests once."
    )
    structured_backend: Annotated[Literal["xgrammar", "guidance", "outlines"], OPERATIONAL] = Field(
        "xgrammar", description="Library that constrains responses to their JSON schema."
    )
    arguments: str = Field(
        "", description="Further arguments of vllm's api_server, quoted as in a shell."
    )
    startup_timeout: Annotated[float, OPERATIONAL] = Field(
        1200, gt=0, le=86400, description="Longest time until the server is ready, seconds."
    )
    max_restarts: Annotated[int, OPERATIONAL] = Field(
        2, ge=0, le=100, description="How often the server is restarted after a crash."
    )


class CaptionOptions(Options):
    """How regions are described and rated."""

    backend: Backend = Field(
        "classifier",
        description="Captioner. classifier: a network trained on opinion scores and realistic"
        " distortions, whose weights come with the package. rule_based: a regression on"
        " hand-crafted features. vllm: a vision-language model behind a server with OpenAI's chat"
        " API, such as vLLM's.",
    )
    long_side: int = Field(
        1024,
        ge=64,
        le=8192,
        description="Long side to which larger images are reduced, pixels.",
    )
    model: str | None = Field(
        None, description="vllm: name of the model on the servers; recorded with the captions."
    )
    endpoints: Annotated[tuple[Endpoint, ...], OPERATIONAL] = Field(
        (),
        description="vllm: base URLs of servers, such as http://localhost:8000/v1; without any, the"
        " job starts a server of its own.",
    )
    prompt: Literal["regions", "image"] = Field(
        "regions",
        description="vllm: what a request asks about. regions: one region, with a crop of it;"
        " image: all regions of an image, with numbered marks on them.",
    )
    key_variable: Annotated[str, OPERATIONAL] = Field(
        "RSFIQA_API_KEY", description="vllm: environment variable that holds the servers' API key."
    )
    max_pixels: int = Field(
        1_003_520, ge=4096, le=10**8, description="vllm: largest picture that is sent, pixels."
    )
    max_tokens: int = Field(
        300, ge=32, le=10**5, description="vllm: longest response about one region, tokens."
    )
    temperature: float = Field(
        0.0, ge=0, le=2, description="vllm: sampling temperature; 0 is greedy decoding."
    )
    attempts: int = Field(
        3, ge=1, le=20, description="vllm: requests for one region until its response is valid."
    )
    concurrency: Annotated[int, OPERATIONAL] = Field(
        32, ge=1, le=4096, description="vllm: concurrent requests to each server."
    )
    request_timeout: Annotated[float, OPERATIONAL] = Field(
        120, gt=0, le=86400, description="vllm: longest time of one request, seconds."
    )
    retry_timeout: Annotated[float, OPERATIONAL] = Field(
        600,
        ge=0,
        le=10**6,
        description="vllm: time after which a server that stays busy is given up, seconds.",
    )
    server: ServerOptions = Field(
        ServerOptions(), description="vllm: the job's own server, where no endpoint is given."
    )

    @property
    def starts_server(self) -> bool:
        """Whether a job starts a server of its own."""
        return CAPTIONERS[self.backend].uses_server and not self.endpoints

    def recorded(self) -> dict[str, Any]:
        """The options that shape the captions, without those of location and speed."""
        names = {"backend", "long_side", *CAPTIONERS[self.backend].recorded}
        recorded = self.model_dump(include=names)
        if self.starts_server:
            recorded["server"] = self.server.recorded()
        return recorded
