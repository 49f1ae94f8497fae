"""Which pictures paths name."""

import io

import pytest

from rsfiqa.errors import InputError
from rsfiqa.images.listing import expand_paths


@pytest.fixture
def pictures(tmp_path):
    """Files in two folders, one of them hidden, one of them no picture."""
    for name in ("a.png", "bad.jpg", "b/c.png", ".hidden.png", "notes.md"):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pictures" / name).touch()
    return tmp_path / "pictures"


def test_folders_patterns_lists_and_files(pictures, tmp_path, monkeypatch):
    every = [str(pictures / name) for name in ("a.png", "bad.jpg", "b/c.png")]
    assert expand_paths([str(pictures)]) == every
    assert expand_paths([str(pictures), str(pictures / "a.png")]) == every  # each once
    assert expand_paths([str(pictures / "**/*.png")]) == [every[0], every[2]]
    (tmp_path / "list.txt").write_text("\n".join(every))
    assert expand_paths([str(tmp_path / "list.txt")]) == every
    assert expand_paths([every[0], f"{pictures}/b/../a.png"]) == every[:1]
    typed = io.TextIOWrapper(io.BytesIO("\r\n".join(every).encode()))
    monkeypatch.setattr("sys.stdin", typed)
    assert expand_paths(["-"]) == every


def test_a_pattern_that_matches_nothing(tmp_path):
    with pytest.raises(InputError, match=r"\*\.png: must match a file, found none"):
        expand_paths([str(tmp_path / "*.png")])
