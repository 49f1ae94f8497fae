import pytest

from rsfiqa.errors import InputError
from rsfiqa.io.provenance import Provenance, check_input


def test_provenance_survives_json(provenance):
    origin = provenance("x", 2, options={"b": [1, None]}, models={"m": "1"}, inputs={"i": "2"})
    assert Provenance.from_json(origin.to_json()) == origin


def test_inputs_at_hand(tmp_path, provenance):
    origin = provenance("captions", inputs={"regions": "a" * 64})
    path = tmp_path / "a.parquet"
    check_input(origin, path, {"regions": "a" * 64, "captions": "c" * 64}, "caption")
    message = (
        r"made from another regions file \(a{12}, at hand is b{12}\); run the caption stage again$"
    )
    with pytest.raises(InputError, match=message):
        check_input(origin, path, {"regions": "b" * 64}, "caption")
