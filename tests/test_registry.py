import pytest
from pydantic import BaseModel, ValidationError

from rsfiqa.registry import Registry, choice, resolve

TOYS: Registry[int] = Registry("toy")
TOYS.register("ball", 1)


class Model(BaseModel):
    toy: choice(TOYS)


@pytest.fixture
def kite():
    TOYS.register("kite", 2)
    yield
    TOYS.remove("kite")


def schema() -> dict:
    return Model.model_json_schema()["properties"]["toy"]


def test_a_choice_knows_entries_that_are_registered_later(kite):
    assert Model(toy="kite").toy == "kite"
    assert schema() == {"type": "string", "enum": ["ball", "kite"], "title": "Toy"}


def test_a_choice_refuses_entries_that_are_removed():
    with pytest.raises(ValidationError, match="input should be one of ball"):
        Model(toy="kite")
    assert schema()["enum"] == ["ball"]


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="toy: names must differ, found 'ball' twice"):
        TOYS.register("ball", 3)


def test_resolve_imports_what_a_target_names():
    assert resolve("os.path:join")("a", "b") == "a/b"
