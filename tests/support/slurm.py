"""A Slurm of one node in a folder of its own, with its daemons and without systemd."""

import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
FINAL = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL")


def missing() -> list[str]:
    """The commands that a Slurm of one node needs and this machine lacks."""
    return [name for name in COMMANDS if shutil.which(name) is None]


def until(true: Callable[[], object], seconds: float = 900) -> None:
    """Wait until something is true.

    Raises:
        TimeoutError: it did not become true in time.
    """
    started = time.monotonic()
    while not true():
        if time.monotonic() - started > seconds:
            raise TimeoutError(f"not true within {seconds:g} s")
        time.sleep(0.2)


class Cluster:
    """Started on entering; on leaving its jobs are cancelled and all of its processes ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configuration = folder / "slurm.conf"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs that talks to this Slurm."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return {"SLURM_CONF": str(self.configuration), "PATH": path}

    def __enter__(self) -> "Cluster":
        self._configure()
        try:
            for name in ("munged", "slurmctld", "slurmd"):
                self.start(name)
            until(lambda: "idle" in self.ask("sinfo", "--noheader", "--format=%T"), 60)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def start(self, daemon: str) -> None:
        """Start a daemon; what it prints goes to its log."""
        munge = [f"--{name}={self.folder}/munge.{name}" for name in ("socket", "key-file")]
        munge += [f"--{name}={self.folder}/munge.{name}" for name in ("pid-file", "seed-file")]
        options = {
            "munged": ["--force", "--foreground", f"--log-file={self.folder}/munge.log", *munge],
            "slurmctld": ["-D", "-i"],
            "slurmd": ["-D"],
        }[daemon]
        with (self.folder / f"{daemon}.out").open("ab") as file:
            self._daemons[daemon] = subprocess.Popen(
                [daemon, *options],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | self.environment,
                start_new_session=True,
            )
        if daemon == "munged":
            until((self.folder / "munge.socket").exists, 30)

    def kill(self, daemon: str) -> None:
        """SIGKILL to a daemon."""
        self._daemons[daemon].kill()
        self._daemons[daemon].wait()

    def ask(self, *command: str) -> str:
        """What a command prints; nothing while Slurm does not answer."""
        run = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            env=os.environ | self.environment,
        )
        return run.stdout

    def jobs(self, folder: Path | None = None, rule: str = r"\w+?") -> list[dict[str, str]]:
        """Jobs in the order of their submission, ended ones too, as scontrol tells of them.

        Args:
            folder: in which they work; any by default.
            rule: whose jobs they are; any by default.
        """
        lines = self.ask("scontrol", "--oneliner", "show", "jobs").splitlines()
        jobs = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines if "JobId=" in line]
        return [
            job
            for job in sorted(jobs, key=lambda job: int(job["JobId"]))
            if folder is None or Path(job["WorkDir"]) == folder
            if re.fullmatch(rf"rule_{rule}(_wildcards_.*)?", job["Comment"])
        ]

    def unfinished(self) -> list[str]:
        """Numbers of the jobs that wait or run."""
        return [job["JobId"] for job in self.jobs() if job["JobState"] not in FINAL]

    def saved(self) -> bool:
        """Whether the controller would know all of its jobs as they are after a SIGKILL.

        It saves in pauses, and only after a change: one is made if there is none.
        """
        jobs = self.jobs()
        times = [job[name] for job in jobs for name in ("SubmitTime", "StartTime", "EndTime")]
        past = [datetime.fromisoformat(at).timestamp() for at in times if at[0] == "2"]
        latest = max(at for at in past if at <= time.time()) + 1  # given in whole seconds
        state = self.folder / "state/job_state"
        if state.is_file() and state.stat().st_mtime >= latest:
            return not any(job["JobState"] == "COMPLETING" for job in jobs)
        for job in jobs:
            if job["JobState"] == "RUNNING":
                self.ask("scontrol", "update", f"JobId={job['JobId']}", f"Comment={job['Comment']}")
        return False

    def status(self, folder: Path) -> str:
        """Node, jobs, and the ends of the logs of Slurm and of Snakemake's run in a folder."""
        parts = {
            "node": self.ask("scontrol", "--oneliner", "show", "nodes"),
            "jobs": self.ask("squeue", "--states=all", "--format=%i %t %r %S %k"),
        }
        logs = (self.folder / "slurmctld.log", self.folder / "slurmd.log", folder / "run.log")
        parts |= {log.name: log.read_text("utf-8", "replace")[-6000:] for log in logs}
        return "\n".join(f"== {name}\n{text}" for name, text in parts.items())

    def processes(self) -> set[int]:
        """Processes of its jobs: those that know its configuration, but for the daemons."""
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"SLURM_CONF={self.configuration}".encode() in (folder / "environ").read_bytes():
                    found.add(int(folder.name))
        return found - {daemon.pid for daemon in self._daemons.values()}

    def _configure(self) -> None:
        host = socket.gethostname().split(".")[0]
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir(parents=True)
        text = Path(__file__).with_name("slurm.conf").read_text("utf-8")
        values = {"host": host, "user": pwd.getpwuid(os.getuid()).pw_name, "folder": self.folder}
        ports = dict(zip(("controller_port", "node_port"), _free_ports(2), strict=True))
        self.configuration.write_text(text.format(**values, **ports), "utf-8")
        gres = f"NodeName={host} Name=gpu Type=fake Count=1 File=/dev/null\n"
        (self.folder / "gres.conf").write_text(gres, "utf-8")
        key = self.folder / "munge.key-file"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(1024))
        # the executor takes SLURM_CONF, with all SLURM_ variables, from the environment of srun
        srun = self.folder / "bin/srun"
        command = f'SLURM_CONF={self.configuration} exec {shutil.which("srun")} "$@"'
        srun.write_text(f"#!/bin/sh\n{command}\n", "utf-8")
        srun.chmod(0o755)

    def _end(self) -> None:
        if "slurmctld" in self._daemons:
            self.ask("scancel", "--full", "--signal=KILL", *self.unfinished())
        for name in ("slurmd", "slurmctld", "munged"):
            if name in self._daemons:
                self._daemons[name].kill()
                self._daemons[name].wait()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports
