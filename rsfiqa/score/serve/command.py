"""The subcommand `rsfiqa serve`."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from rsfiqa.command import Command
from rsfiqa.images.formats import MAX_PIXELS
from rsfiqa.score.command import Score
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.serve.limits import MB, Limits


class Serve(Command, ScoreOptions):
    """Score pictures in a web page on this machine, and for other programs over HTTP.

    Prints the address of the page as soon as it is ready, and runs until interrupted. Reads a
    checkpoint, by default the one in the package. Pictures are dropped on the page or sent to
    /score; they are deleted as soon as they are scored. /docs describes the interface. Any address
    but loopback needs a token in the environment. Needs the extra app.
    """

    extra: ClassVar[str] = "app"
    renamed = Score.renamed

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 for a free one.")
    allow_host: tuple[str, ...] = Field(
        (),
        description="Further host name under which the service is reached, such as that of a"
        " proxy; can be repeated.",
    )
    token_variable: str = Field(
        "RSFIQA_TOKEN", description="Environment variable that holds the token of the service."
    )
    checkpoint: Path | None = Field(
        None, description="Folder of a checkpoint; by default the one in the package."
    )
    workers: int = Field(
        0,
        ge=0,
        le=256,
        description="Number of processes; 0 for one per core, or one if there is a GPU.",
    )
    max_upload: float = Field(
        Limits.upload / MB, ge=0.001, le=10_000, description="Largest body of a request, megabytes."
    )
    max_megapixels: float = Field(
        Limits.pixels / MB,
        ge=0.001,
        le=MAX_PIXELS // MB,
        description="Largest picture, megapixels.",
    )
    queue: int = Field(
        Limits.queue,
        ge=0,
        le=10_000,
        description="Requests that may wait; more are refused for a while.",
    )
    timeout: float = Field(
        Limits.seconds, gt=0, le=3600, description="Longest time that a picture may take, seconds."
    )

    def run(self) -> None:
        """Serve until interrupted."""
        from rsfiqa.score.serve import run

        run.run(
            self.stage_options(ScoreOptions),
            checkpoint=self.checkpoint,
            host=self.host,
            port=self.port,
            allow_host=self.allow_host,
            token_variable=self.token_variable,
            workers=self.workers,
            limits=Limits(
                upload=int(self.max_upload * MB),
                pixels=int(self.max_megapixels * MB),
                queue=self.queue,
                seconds=self.timeout,
            ),
        )
