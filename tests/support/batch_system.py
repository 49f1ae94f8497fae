"""Stands in for Slurm's commands; a job is noted, and its outputs are there at once, but empty.

Run with the command's name, then its arguments. A job whose rule is named in $BATCH_FAILING fails
twice; one whose outputs cannot be known, because it comes without a job script, fails always.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

MARK = "# properties = "


def main(command: str, arguments: list[str]) -> None:
    """What the command prints."""
    note = Path(os.environ["BATCH_JOBS"])
    jobs = [json.loads(line) for line in note.read_text("utf-8").splitlines()]
    if command == "sbatch":
        job = run(arguments, jobs)
        note.write_text("\n".join(map(json.dumps, [*jobs, job])), "utf-8")
        print(len(jobs) + 1)
    elif command == "squeue":
        for number, job in enumerate(jobs, start=1):
            print(f"{number}|{job['state']}")
    elif command == "sinfo":
        print("main*")
    elif command == "sacct":
        sys.exit("Slurm accounting storage is disabled")
    elif arguments[:2] == ["show", "job"]:
        print(f"JobId={arguments[2]} JobState={jobs[int(arguments[2]) - 1]['state']} Reason=None")
    elif arguments[:2] == ["show", "config"]:
        print("MaxArraySize = 1001\nMinJobAge = 300 sec")


def run(arguments: list[str], jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """The job with its state; its outputs are made."""
    script = Path(arguments[-1])
    if not script.is_file():
        return {"arguments": arguments, "rule": None, "state": "FAILED"}
    lines = script.read_text("utf-8").splitlines()
    properties = json.loads(next(line for line in lines if line.startswith(MARK))[len(MARK) :])
    rule, outputs = properties["rule"], properties["output"]
    earlier = sum(job["outputs"] == outputs for job in jobs)
    failed = rule == os.environ.get("BATCH_FAILING") and earlier < 2
    if not failed:
        record = Path(properties["log"][0]).with_suffix(".tsv")  # of Snakemake's own benchmark
        for path in [record, *map(Path, outputs)]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    state = "FAILED" if failed else "COMPLETED"
    return {"arguments": arguments, "rule": rule, "outputs": outputs, "state": state}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
