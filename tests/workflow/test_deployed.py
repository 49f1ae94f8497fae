"""The workflow as a module: of a clone, and of a repository's address, as snakedeploy writes it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.workflow import ROOT, Workflow

PARTS = ("Snakefile", "config.yaml", "config", "workflow", "envs")
MODULE = """
configfile: {config!r}


module rsfiqa:
    snakefile:
        {snakefile}
    config:
        config


use rule * from rsfiqa
"""


class Deployed(Workflow):
    """A workflow in a folder of its own whose rules are those of a module.

    Args:
        folder: of the workflow.
        snakefile: of the module, as Snakemake takes it.
        environment: further variables.
    """

    def __init__(self, folder: Path, snakefile: str, **environment: str) -> None:
        super().__init__(folder)
        self.environment = environment
        config = folder / "config/config.yaml"
        shutil.copytree(ROOT / "config", config.parent)
        (folder / "workflow").mkdir()
        text = MODULE.format(config=str(config), snakefile=snakefile)
        (folder / "workflow/Snakefile").write_text(text, "utf-8")

    def line(self, *arguments: str) -> list[str]:
        """The command that runs Snakemake here."""
        words = super().line(*arguments)
        words[words.index("-s") + 1] = str(self.folder / "workflow/Snakefile")
        return words

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As `Workflow.snakemake`."""
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            return super().snakemake(*arguments)
        finally:
            os.environ.clear()
            os.environ.update(before)


@pytest.fixture(params=["clone", "address"])
def deployed(request, tmp_path):
    if request.param == "clone":
        return Deployed(tmp_path / "run", repr(str(ROOT / "workflow/Snakefile")))
    if shutil.which("git") is None:
        pytest.skip("needs git")
    made = tmp_path / "made"
    made.mkdir()
    for part in PARTS:
        copied = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copied(ROOT / part, made / part)
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "all")):
        subprocess.run(["git", *identity, *words], cwd=made, check=True)
    hosted = tmp_path / "hosts/example/rsfiqa"
    subprocess.run(["git", "clone", "-q", "--bare", made, hosted], check=True)
    settings = tmp_path / "gitconfig"
    settings.write_text(f'[url "{tmp_path}/hosts/"]\n\tinsteadOf = https://github.com/\n', "utf-8")
    return Deployed(
        tmp_path / "run",
        'github("example/rsfiqa", path="workflow/Snakefile", branch="main")',
        GIT_CONFIG_GLOBAL=str(settings),
        XDG_CACHE_HOME=str(tmp_path / "cache"),
    )


def test_a_deployed_workflow_plans_and_runs_the_stages(deployed):
    plan = deployed.planned()
    assert plan["default"] == 1
    assert {name: plan[name] for name in ("prepare", "segment", "report")} == {
        "prepare": 1,
        "segment": 2,
        "report": 1,
    }
    run = deployed.snakemake("--until", "segment")
    assert run.returncode == 0, run.stdout
    assert len(list((deployed.results / "tiny/segment").glob("*.h5"))) == 2
    assert deployed.planned("--until", "segment") == {}


@pytest.mark.parametrize("deployed", ["address"], indirect=True)
def test_rules_from_an_address_use_the_installed_package_alone(deployed):
    deployed.planned()
    (link,) = (deployed.folder / ".snakemake/package").glob("*/*")
    assert link.resolve() == ROOT / "rsfiqa"
