import pytest

from tests.support.browser import chromium
from tests.support.pipeline import made


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory):
    """The folder of results of a small run of all stages but the report; not to be changed."""
    return made(tmp_path_factory)


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started
