"""Parts of the bench: which are measured, what is kept, and when the figures are written."""

import json

import pytest

from benchmarks import figures
from benchmarks.curate import command
from benchmarks.curate.command import Part
from benchmarks.targets import bounds_of


@pytest.fixture
def measured(tmp_path, monkeypatch) -> list[str]:
    """The parts that were measured, in order; files lie in a folder of the test."""
    done: list[str] = []

    def part(name: str, **found: float) -> Part:
        def measure(_work) -> dict[str, float]:
            done.append(name)
            return found

        return Part(measure)

    parts = {"groups": part("groups", group_s=3), "page": part("page", page_open_s=0.5)}
    monkeypatch.setattr(command, "PARTS", parts)
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    return done


def written(tmp_path) -> dict | None:
    path = tmp_path / "bench-curate.json"
    return json.loads(path.read_text()) if path.is_file() else None


def test_figures_are_written_when_all_parts_are_measured(measured, tmp_path):
    command.main(["--part", "page"])
    assert written(tmp_path) is None
    command.main([])
    assert measured == ["page", "groups"]
    content = written(tmp_path)
    assert (content["group_s"], content["page_open_s"]) == (3, 0.5)


def test_a_finished_part_is_not_measured_again_unless_it_is_named(measured):
    command.main([])
    command.main([])
    assert measured == ["groups", "page"]
    command.main(["--part", "groups"])
    assert measured == ["groups", "page", "groups"]


def test_figures_of_another_commit_or_checkpoint_are_measured_again(
    measured, monkeypatch, tmp_path
):
    command.main([])
    command.main(["--checkpoint", str(tmp_path)])
    monkeypatch.setattr(command, "commit", lambda: "another")
    command.main([])
    assert measured == 3 * ["groups", "page"]


def test_a_part_that_finds_no_tool_is_still_to_be_measured(measured, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(command.PARTS, "page", Part(lambda _: {}))
    command.main([])
    assert written(tmp_path) is None
    assert "not written, page to be measured" in capsys.readouterr().err


def test_what_the_bench_promises_has_bounds():
    bounds = bounds_of(command.TARGET)
    assert bounds.at_most["group_s"] == 20
    assert bounds.at_most["page_open_s"] == bounds.at_most["page_folder_open_s"] == 2
    assert bounds.at_most["page_filter_s"] == bounds.at_most["page_folder_filter_s"] == 0.1
    assert bounds.at_least["burst_best"] == 0.95
    assert bounds.at_least["service_of_command"] == 0.9
    assert bounds.at_least["service_hostile_survived"] == 1000
