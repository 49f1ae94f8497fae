"""profiles/slurm on a real Slurm, undisturbed and disturbed: make test-slurm."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import yaml

from tests.support.slurm import Cluster, missing, until
from tests.support.workflow import ROOT, Workflow

PROFILE = (
    *("--profile", str(ROOT / "profiles/slurm"), "--slurm-init-seconds-before-status-checks", "4"),
    *("--latency-wait", "5", "--set-resources", "caption:gpu_model=fake"),
)
RULES = (
    *("prepare", "segment", "caption", "embed", "extract", "train_batch"),
    *("benchmark", "report"),
)
GPUS = {"segment": 1, "caption": 1, "embed": 0, "extract": 1}
SMALL = {"datasets": ["tiny"], "splits": 1, "variants": ["full"]}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if missing():
        pytest.skip(f"no {', '.join(missing())}; make test-slurm installs them on Debian, as root")
    with (
        Cluster(tmp_path_factory.mktemp("slurm")) as cluster,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        yield cluster
    until(lambda: not cluster.processes(), 30)


@pytest.fixture(scope="session")
def local(tmp_path_factory):
    """The workflow after a run without a cluster."""
    workflow = Workflow(tmp_path_factory.mktemp("local"), gpus=GPUS, benchmark=SMALL)
    found = workflow.snakemake("--resources", "gpu=1")
    assert found.returncode == 0, found.stdout
    return workflow


def sibling(local: Workflow, folder: Path) -> Workflow:
    """A workflow on the same pictures, of which nothing has run."""
    datasets = yaml.safe_load(local.config.read_text("utf-8"))["datasets"]
    return Workflow(folder, gpus=GPUS, benchmark=SMALL, datasets=datasets)


def products(workflow: Workflow) -> dict[str, bytes]:
    """The bytes of all products, without what tells of the run: times, logs and the page."""
    return {
        str(path.relative_to(workflow.results)): path.read_bytes()
        for path in workflow.results.rglob("*")
        if path.is_file()
        and not path.name.endswith(("stats.json", ".html"))
        and not path.is_relative_to(workflow.results / "logs")
    }


def assert_same(one: Workflow, other: Workflow) -> None:
    actual, expected = products(one), products(other)
    assert sorted(actual) == sorted(expected)
    assert [name for name in expected if actual[name] != expected[name]] == []
    assert (one.results / "report/index.html").is_file()


def test_results_are_those_of_a_local_run(cluster, local, tmp_path):
    workflow = sibling(local, tmp_path)
    found = workflow.snakemake(*PROFILE)
    assert found.returncode == 0, found.stdout
    assert_same(workflow, local)
    assert {job["JobState"] for job in cluster.jobs(tmp_path)} == {"COMPLETED"}
    for rule in RULES:
        jobs = cluster.jobs(tmp_path, rule)
        assert jobs, rule
        gpu = ("gres:gpu:fake:1" if rule == "caption" else "gres:gpu:1") if GPUS.get(rule) else None
        assert {job.get("TresPerJob") for job in jobs} == {gpu}, rule
        assert {job["NumNodes"] for job in jobs} == {"1"}


SCORING = {"shard_size": 12}


def test_scores_are_those_of_a_local_run(cluster, local, tmp_path):
    """Undisturbed but for a job that is cancelled in the middle of a shard."""
    runs = {"mine": {"paths": [str(local.folder / "pictures/*.png")]}}
    reference, workflow = sibling(local, tmp_path / "local"), sibling(local, tmp_path / "slurm")
    for one in (reference, workflow):
        one.change(score=SCORING | {"runs": runs})
    found = reference.snakemake("score")
    assert found.returncode == 0, found.stdout
    with (tmp_path / "run.log").open("w") as log:
        run = subprocess.Popen(workflow.line("score", *PROFILE), stdout=log, stderr=log)
    try:
        cluster.ask("scancel", begun(cluster, workflow, run, "score_shard"))
        assert run.wait(600) == 0, (tmp_path / "run.log").read_text("utf-8")
    finally:
        run.kill()
    actual, expected = products(workflow), products(reference)
    names = sorted(name for name in expected if name.startswith("mine/"))
    assert sorted(actual) == names
    assert [name for name in names if actual[name] != expected[name]] == []
    states = {job["JobState"] for job in cluster.jobs(workflow.folder, "score_shard")}
    assert states == {"CANCELLED", "COMPLETED"}


def begun(cluster: Cluster, workflow: Workflow, run: subprocess.Popen, stage: str) -> str:
    """The number of a job that is in mid-stage, once there is one: its command has begun.

    Raises:
        AssertionError: the run ended before.
        pytest.fail.Exception: it has not begun after five minutes.
    """
    numbers: list[str] = []
    folder = stage.removesuffix("_batch").removesuffix("_shard")

    def running() -> bool:
        assert run.poll() is None, (workflow.folder / "run.log").read_text("utf-8")[-4000:]
        jobs = cluster.jobs(workflow.folder, stage)
        numbers[:] = [job["JobId"] for job in jobs if job["JobState"] == "RUNNING"]
        return bool(numbers) and any(workflow.folder.glob(f"results/logs/{folder}/**/*.log"))

    try:
        until(running, 300)
    except TimeoutError:
        pytest.fail(f"{stage} has not begun\n{cluster.status(workflow.folder)}")
    return numbers[0]


def submitting(run: subprocess.Popen) -> bool:
    """Whether a command of Snakemake's still speaks to Slurm."""
    children = psutil.Process(run.pid).children(recursive=True)
    return any(child.status() != psutil.STATUS_ZOMBIE for child in children)


@contextmanager
def paused(cluster: Cluster) -> Iterator[None]:
    """No job ends meanwhile: all processes of jobs but Slurm's own are stopped."""
    pids, own = cluster.processes(), ("slurmstepd", "srun")
    running = psutil.process_iter(["name"])
    found = [p for p in running if p.pid in pids and p.info["name"] not in own]

    def each(act: Callable[[psutil.Process], None]) -> None:
        for process in found:
            with suppress(psutil.NoSuchProcess):
                act(process)

    each(psutil.Process.suspend)
    yield
    each(psutil.Process.resume)


def disturb(cluster: Cluster, workflow: Workflow, run: subprocess.Popen) -> None:
    """Cancel a job in mid-stage, kill Slurm's daemons while jobs run, then Snakemake."""
    cluster.ask("scancel", begun(cluster, workflow, run, "segment"))
    begun(cluster, workflow, run, "caption")
    # what happens after the controller last saved its jobs is lost with it, to any client
    run.send_signal(signal.SIGSTOP)
    until(lambda: not submitting(run))
    with paused(cluster):
        until(cluster.saved)
        for daemon in ("slurmctld", "slurmd"):
            cluster.kill(daemon)
    for daemon in ("slurmctld", "slurmd"):
        cluster.start(daemon)
    run.send_signal(signal.SIGCONT)
    begun(cluster, workflow, run, "train_batch")
    run.kill()


def test_results_do_not_depend_on_what_is_killed(cluster, local, tmp_path):
    workflow = sibling(local, tmp_path)
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # as in the other runs
    with (tmp_path / "run.log").open("w") as log:
        run = subprocess.Popen(workflow.line(*PROFILE), env=one_thread, stdout=log, stderr=log)
    try:
        disturb(cluster, workflow, run)
    finally:
        run.kill()
        run.wait()
    assert cluster.unfinished()  # orphans, which work on the files of the next run
    limits = {
        (job["JobState"], job["TimeLimit"], job["MinMemoryNode"])
        for job in cluster.jobs(tmp_path, "segment")
    }
    assert ("CANCELLED", "04:00:00", "2000M") in limits
    assert ("COMPLETED", "08:00:00", "4000M") in limits
    assert workflow.snakemake("--unlock").returncode == 0
    found = workflow.snakemake(*PROFILE)
    assert found.returncode == 0, found.stdout
    until(lambda: not cluster.unfinished())
    assert_same(workflow, local)
    assert "Nothing to be done" in workflow.snakemake().stdout
