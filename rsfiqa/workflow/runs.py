"""Check the runs of the section `score` of config.yaml, before the first job."""

import re
from glob import has_magic, iglob
from typing import TYPE_CHECKING

from rsfiqa.errors import InputError
from rsfiqa.io.home import expand_home
from rsfiqa.score.options import ScoreRun, ScoreRunsOptions
from rsfiqa.workflow.datasets import check_name

if TYPE_CHECKING:
    from rsfiqa.workflow.configuration import Config


def check_runs(config: "Config", source: str) -> None:
    """Raise where a run cannot be scored.

    Args:
        config: the whole configuration.
        source: file name for messages.

    Raises:
        InputError: a name that is not free, a path that does not exist, or a checkpoint that is
            missing, of another version, or needs a model that is not given.
    """
    for name, run in config.score.runs.items():
        key = f"{source}: score.runs"
        check_name(name, key)
        for path in run.paths:
            if not _exists(path):
                raise InputError(f"{key}.{name}.paths must exist, found {path}; correct the path")
        try:
            _check_checkpoint(run, config.score)
        except InputError as error:
            # the same errors name options of the command elsewhere
            text = re.sub(
                r"--([a-z]+(-[a-z]+)*)",
                lambda match: f"score.{match[1].replace('-', '_')}",
                str(error),
            )
            raise InputError(f"{key}.{name}.checkpoint: {text}") from error


def _exists(path: str) -> bool:
    """Whether there is such a file or folder, or one that the pattern matches."""
    place = expand_home(path)
    return place.exists() or (has_magic(path) and any(iglob(str(place), recursive=True)))  # noqa: PTH207


def _check_checkpoint(run: ScoreRun, options: ScoreRunsOptions) -> None:
    """Raise where a checkpoint cannot be used with the models that are given."""
    from rsfiqa import checkpoints  # imports pyarrow
    from rsfiqa.score import needs

    folder = checkpoints.folder_or_packaged(expand_home(run.checkpoint) if run.checkpoint else None)
    card, _ = checkpoints.read_card(folder)
    needs.check(folder, card, options)
