import pytest

from tests.support.sam import checkpoint  # noqa: F401
from tests.support.workflow import Workflow


@pytest.fixture
def workflow(tmp_path):
    """A workflow of which nothing has run."""
    return Workflow(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A workflow that has run once, with one GPU to share."""
    workflow = Workflow(tmp_path_factory.mktemp("finished"))
    run = workflow.snakemake("--cores", "4", "--resources", "gpu=1")
    assert run.returncode == 0, run.stdout
    return workflow
