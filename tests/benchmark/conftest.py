import pytest

from tests.support.pipeline import made


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory):
    """The folder of results of a small run of all stages but the report; read-only."""
    return made(tmp_path_factory)
