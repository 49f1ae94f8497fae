import re
import shlex

import pytest

from rsfiqa import cli
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products.versions import VERSIONS
from rsfiqa.report.options import ReportOptions
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.train.options import TrainOptions

STAGES = (
    *("prepare", "segment", "caption", "embed", "extract", "train", "benchmark", "report"),
    "teach",
)
OWN = {
    "prepare": PrepareOptions,
    "segment": SegmentOptions,
    "caption": CaptionOptions,
    "embed": EmbedOptions,
    "extract": ExtractOptions,
    "train": TrainOptions,
    "report": ReportOptions,
}


def help_of(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as caught:
        cli.main([*words, "--help"])
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_help_lists_every_stage(capsys):
    shown = help_of(capsys)
    assert set(VERSIONS) == set(STAGES)
    for stage in STAGES:
        assert f"    {stage} " in shown
    assert "\nEach stage reads and writes files" in shown  # not indented


@pytest.mark.parametrize("words", [*STAGES, "teach data", "teach test"])
def test_help_says_what_a_stage_reads_writes_and_does_by_default(capsys, words):
    shown = " ".join(help_of(capsys, *words.split()).split())
    for word in ("Read", "Writes", "default"):
        assert word.lower() in shown.lower(), word


@pytest.mark.parametrize("stage", OWN)
def test_every_option_is_a_flag_with_the_same_default(capsys, stage):
    flags = set(re.findall(r"--[a-z-]+", help_of(capsys, stage)))
    command = getattr(cli, stage.capitalize())
    for name, field in OWN[stage].model_fields.items():
        assert f"--{name.replace('_', '-')}" in flags
        assert command.model_fields[name].default == field.default


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("segment /nowhere", 1, "rsfiqa segment: /nowhere/manifest.parquet: no such file; run"),
        ("segment x --long-side 3", 2, "segment.long_side: input should be greater than or equal"),
        ("segment x --backend sum", 2, "found 'sum'; change it"),
        ("train x --variant no_such", 2, "found 'no_such'; change it"),
        ("train /nowhere --split first", 1, "/nowhere/manifest.parquet: no such file; run"),
        ("prepare x --layout csv", 1, "csv: mos_range must be given, found none; set it"),
        ("prepare x --layout folder", 1, "folder: needs root, found none; set it"),
        ("report /nowhere", 1, "holds no table of results; run the benchmark stage first"),
        ("report", 1, "report: needs the folder of all results or --scores, found neither"),
        ("report x --scores y.parquet", 1, "results or --scores, found both"),
        ("teach data x --source /nowhere", 1, "rsfiqa teach: /nowhere/manifest.parquet: no such"),
        ("teach data x", 2, "teach.data.source is required, found nothing; add it"),
        ("teach test /nowhere", 1, "/nowhere/test.jsonl: no such file; make it with rsfiqa teach"),
        ("report --scores /nowhere.parquet", 1, "/nowhere.parquet: no such file; write it with"),
    ],
)
def test_an_error_is_one_line_on_stderr(capsys, line, status, message):
    assert cli.main(shlex.split(line)) == status
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


@pytest.mark.parametrize("line", ["segment", "no_such_stage", "segment x --no-such-option 1"])
def test_a_wrong_call(capsys, line):
    with pytest.raises(SystemExit) as caught:
        cli.main(shlex.split(line))
    assert caught.value.code == 2
    assert "error" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "reason"), [(28, "No space left"), (30, "Read-only file")])
def test_a_disk_that_refuses_is_one_line(capsys, monkeypatch, number, reason):
    def full(self):
        raise OSError(number, "", "x/00000.h5")

    monkeypatch.setattr(cli.Segment, "run", full)
    assert cli.main(["segment", "x"]) == 1
    shown = capsys.readouterr().err
    assert re.fullmatch(rf"rsfiqa segment: x/00000.h5: cannot be written \({reason}.*\n", shown)


def test_no_arguments_show_the_help(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == 0
    assert "subcommands" in capsys.readouterr().out
