import pytest

from benchmarks.perception import resume


def test_figures_are_measured_once_for_the_same_inputs(tmp_path):
    path, calls = tmp_path / "part.json", []

    def measure():
        calls.append(1)
        return {"auc": 0.5, "auc_n": 3}

    for _ in range(2):
        assert resume.figures_of(path, {"code": "a"}, measure) == {"auc": 0.5, "auc_n": 3.0}
    assert len(calls) == 1
    resume.figures_of(path, {"code": "b"}, measure)
    assert len(calls) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"inputs": {"code": "b"}, "figures": {}}'])
def test_damaged_or_other_figures_are_not_used(tmp_path, content):
    path = tmp_path / "part.json"
    path.write_text(content, "utf-8")
    assert resume.kept_figures(path, {"code": "a"}) is None


def test_a_part_that_fails_keeps_nothing(tmp_path):
    def measure():
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        resume.figures_of(tmp_path / "part.json", {}, measure)
    assert list(tmp_path.iterdir()) == []


def test_digests_change_with_names_and_contents(tmp_path):
    found = set()
    for name, content in (("a", "1"), ("a", "2"), ("b", "2")):
        for path in tmp_path.iterdir():
            path.unlink()
        (tmp_path / name).write_text(content, "utf-8")
        found.add((resume.folder_digest(tmp_path), resume.listing_digest([tmp_path])))
    assert len({one for one, _ in found}) == len({other for _, other in found}) == 3
    assert resume.folder_digest(None) == ""
