import json

import pytest

from rsfiqa.io.json_files import read_json_with_checksum, write_json, write_json_with_checksum


def test_folders_are_made(tmp_path):
    write_json(tmp_path / "a/b/c.json", {"x": 1})
    assert (tmp_path / "a/b/c.json").read_text("utf-8") == '{\n  "x": 1\n}\n'


def test_content_with_a_checksum_comes_back(tmp_path):
    path = tmp_path / "a.json"
    write_json_with_checksum(path, {"b": 1, "a": [2]})
    assert read_json_with_checksum(path) == {"a": [2], "b": 1}
    assert len(json.loads(path.read_text("utf-8"))["sha256"]) == 64


def test_a_change_of_the_content_is_detected(tmp_path):
    path = tmp_path / "a.json"
    write_json_with_checksum(path, {"a": 2})
    path.write_bytes(path.read_bytes().replace(b'"a": 2', b'"a": 3'))
    with pytest.raises(ValueError, match="checksum differs"):
        read_json_with_checksum(path)


def test_a_file_without_a_checksum_is_accepted(tmp_path):
    write_json(tmp_path / "a.json", {"a": 2})
    assert read_json_with_checksum(tmp_path / "a.json") == {"a": 2}
