"""What the profiles ask of a batch system, read from the calls that a stand-in receives."""

import json
import re
import subprocess
import sys
from collections import defaultdict

import pytest

from tests.support.workflow import ROOT, Workflow

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo", "sacct")
STATUS = ROOT / "profiles/generic/status.sh"


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """A function that lists the jobs submitted so far; Slurm's commands are stand-ins."""
    note = tmp_path / "jobs"
    note.touch()
    folder = tmp_path / "commands"
    folder.mkdir()
    stand_in = ROOT / "tests/support/batch_system.py"
    for name in COMMANDS:
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} {stand_in} {name} "$@"\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("BATCH_JOBS", str(note))
    return lambda: [json.loads(line) for line in note.read_text("utf-8").splitlines()]


def requested(job: dict, option: str) -> str | None:
    """The value of an option of sbatch: --mem=2000 or --mem 2000."""
    found = re.search(rf"(?:^| ){option}[= ](\S+)", " ".join(job["arguments"]))
    return found and found[1]


def submit(workflow, profile: str, *arguments: str):
    """Run through a profile, without its patience."""
    return workflow.snakemake(
        *("--profile", str(ROOT / "profiles" / profile), "--latency-wait", "1"), *arguments
    )


@pytest.mark.slow
def test_every_rule_asks_for_what_it_needs(tmp_path, jobs):
    gpus = {"segment": 1, "caption": 4, "embed": 0, "extract": 0, "train": 2}
    server = {
        "backend": "vllm",
        "model": "m",
        "server": {"tensor_parallel": 2, "data_parallel": 2},
    }
    workflow = Workflow(tmp_path / "run", gpus=gpus, caption=server)
    found = submit(workflow, "generic", "--max-status-checks-per-second", "100", "--cores", "64")
    assert found.returncode == 0, found.stdout
    by_rule = defaultdict(set)
    for job in jobs():
        by_rule[job["rule"]].add(
            tuple(requested(job, name) for name in ("--gpus", "--cpus-per-task", "--mem", "--time"))
        )
        assert requested(job, "--nodes") == "1"
    assert by_rule == {
        "prepare": {("0", "1", "2000M", "60")},
        "segment": {("1", "1", "2000M", "240")},
        "caption": {("4", "32", "112000M", "240")},
        "embed": {("0", "1", "3000M", "240")},
        "extract": {("0", "1", "3000M", "240")},
        "train_batch": {("0", "1", "4000M", "240")},  # on frozen features
        "benchmark": {("0", "1", "4000M", "60")},
        "report": {("0", "1", "4000M", "60")},
    }


@pytest.mark.slow
def test_a_job_that_scores_asks_for_what_it_needs(tmp_path, jobs):
    score = {"runs": {"mine": {"paths": [str(tmp_path / "run/pictures")]}}, "workers": 3}
    workflow = Workflow(tmp_path / "run", score=score | {"shard_size": 20}, gpus={"score": 1})
    planned = workflow.snakemake("score", "--until", "score_plan")  # the stand-in runs nothing
    assert planned.returncode == 0, planned.stdout
    found = submit(
        workflow, "generic", "--max-status-checks-per-second", "100", "--cores", "64", "score"
    )
    assert found.returncode == 0, found.stdout
    asked = sorted(
        (job["rule"], *(requested(job, name) for name in ("--gpus", "--cpus-per-task", "--mem")))
        for job in jobs()
    )
    assert asked == [
        ("score_rank", "0", "1", "4000M"),
        ("score_shard", "1", "3", "5500M"),
        ("score_shard", "1", "3", "5500M"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "times"),
    [
        ((), ("60", "120", "240")),
        (
            ("--resources", "runtime=100", "--set-resource-scopes", "runtime=local"),
            ("60", "100", "100"),
        ),
    ],
)
def test_every_attempt_gets_twice_the_memory_and_time(workflow, jobs, monkeypatch, limit, times):
    monkeypatch.setenv("BATCH_FAILING", "prepare")
    found = submit(workflow, "generic", "--until", "prepare", *limit)
    assert found.returncode == 0, found.stdout
    assert [requested(job, "--mem") for job in jobs()] == ["2000M", "4000M", "8000M"]
    assert tuple(requested(job, "--time") for job in jobs()) == times


@pytest.mark.slow
def test_slurms_own_executor_submits_as_often_and_as_much(workflow, jobs):
    fast = ("--slurm-init-seconds-before-status-checks", "1")
    found = submit(workflow, "slurm", *fast, "--until", "prepare")
    assert found.returncode != 0
    assert [(requested(job, "--mem"), requested(job, "-t")) for job in jobs()] == [
        ("2000", "60"),
        ("4000", "120"),
        ("8000", "240"),
    ]
    assert {requested(job, "--gpus") for job in jobs()} == {None}
    assert all("--requeue" in job["arguments"] for job in jobs())


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("JobId=7 JobState=PENDING Reason=Resources", "running"),
        ("JobId=7 JobState=RUNNING Reason=None", "running"),
        ("JobId=7 JobState=COMPLETED Reason=None", "success"),
        ("JobId=7 JobState=TIMEOUT Reason=TimeLimit", "failed"),
        ("slurm_load_jobs error: Invalid job id specified", "failed"),
        ("slurm_load_jobs error: Unable to contact slurm controller", "running"),
    ],
)
def test_what_snakemake_is_told_of_a_job(tmp_path, monkeypatch, answer, status):
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\necho "{answer}" >&2\n')
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = subprocess.run([STATUS, "7"], capture_output=True, text=True, check=True)
    assert found.stdout == f"{status}\n"
