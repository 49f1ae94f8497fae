"""The subcommands of the caption stage: the stage itself, and a model server for it."""

from pathlib import Path

from pydantic import Field

from rsfiqa.caption.options import CaptionOptions, ServerOptions
from rsfiqa.command import Command, ShardCommand


class Caption(ShardCommand, CaptionOptions):
    """Describe and rate every region.

    A region gets a sentence ("A dark grey busy area with slight banding. Overall good."), ratings
    of color, noise, artifact, blur and overall in 1 (bad) to 5 (excellent), and its distortions
    with severities in 1 (faint) to 5 (extreme).

    Reads FOLDER/manifest.parquet, FOLDER/segment and the images. Writes
    FOLDER/caption/<shard>.parquet, <shard>.failures.parquet and <shard>.stats.json. By default
    processes all shards, with the classifier that comes with the package; finished shards are
    skipped. Responses of a vision-language model are kept until their shard is written, so that a
    run that was killed repeats no request. `rsfiqa caption serve` starts one model for several
    jobs.
    """

    server_log: Path | None = Field(
        None,
        description="vllm: log file of the job's own server; by default FOLDER/caption/server.log.",
    )

    def run(self) -> None:
        """Run the stage."""
        from rsfiqa.caption import stage

        options = self.stage_options(CaptionOptions)
        stage.run(self.folder, options, server_log=self.server_log, **self.shard_arguments)


class CaptionServe(Command, ServerOptions):
    """Serve a vision-language model to caption stages, here or on other machines.

    Reads the model's folder (or a name that vLLM can download); needs an environment with vllm.
    Prints the endpoint as soon as the server is ready and runs until interrupted; by default
    writes the output of vLLM to logs/serve.log. The API key that clients must send is read from
    the environment variable VLLM_API_KEY.
    """

    model: str | None = Field(None, description="Name under which clients request the model.")
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on.")
    log: Path = Field(Path("logs/serve.log"), description="File for the output of the server.")

    def run(self) -> None:
        """Run the server until it is interrupted."""
        from rsfiqa.captioners.vlm import server

        options = self.stage_options(ServerOptions)
        server.serve(options, self.model, self.log, self.host, self.port)

    def sections(self) -> tuple[str, ...]:
        """The server's section in config.yaml."""
        return ("caption.server",)
