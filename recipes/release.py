"""dist/: sdist and wheel of the checkout, checked, installed and used.

Each Python of `VERSIONS` that is on PATH gets an empty environment with the wheel, which scores a
picture from another folder; the others are named. `git tag v1.2.3` before gives the version.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.11", "3.12", "3.13")
MOST_MB = 20  # of the wheel
# Installed beside torch and torchvision, without bytecode. The CPU wheels of those take 720 MB
# (torch 2.13): 1.5 GB are promised together.
MOST_BESIDE_TORCH_MB = 750
MOST_SECONDS = 180  # from a bare Python to the first score
TORCH = ("torch", "torchvision", "torchvision.libs", "triton", "nvidia", "cuda")  # and CUDA's parts
PICTURE = ROOT / "docs" / "worst-region.png"
MEGABYTE = 1e6


def main() -> None:
    """Build and check."""
    options = ArgumentParser(description=__doc__)
    options.add_argument("--tools", type=Path, required=True, help="folder with python and twine")
    options.add_argument("--output", type=Path, default=ROOT / "dist", help="an empty folder")
    given = options.parse_args()
    tools, output = given.tools.absolute(), given.output.absolute()
    shutil.rmtree(output, ignore_errors=True)
    run(tools / "python", "-m", "build", "--outdir", output, ROOT)
    run(tools / "twine", "check", "--strict", *output.iterdir())
    (wheel,) = output.glob("*.whl")
    size = wheel.stat().st_size / MEGABYTE
    print(f"release: {wheel.name}, {size:.1f} MB", flush=True)
    if size > MOST_MB:
        sys.exit(f"{wheel.name}: must have at most {MOST_MB} MB, found {size:.1f}")
    if ".dev" in wheel.name:
        print("release: no tag, so the version is one of development; git tag v1.2.3", flush=True)
    tried = [version for version in VERSIONS if try_on(version, wheel)]
    if not tried:
        sys.exit(f"release: needs one of Python {', '.join(VERSIONS)} on PATH, found none")
    print(f"release: {output} is ready; tried on Python {', '.join(tried)}")


def check_installed_size(environment: Path, most: float = MOST_BESIDE_TORCH_MB) -> None:
    """Measure what an environment holds beside torch and bytecode.

    Raises:
        SystemExit: it takes more than `most` MB.
    """
    counted = [
        path.lstat().st_size
        for path in environment.rglob("*")
        if path.suffix != ".pyc" and not is_of_torch(path.relative_to(environment))
    ]
    size = sum(counted) / MEGABYTE
    print(f"release: {size:.0f} MB beside torch", flush=True)
    if size > most:
        sys.exit(
            f"release: dependencies must take at most {most:g} MB beside torch, found {size:.0f};"
            " move one to an extra"
        )


def is_of_torch(path: Path) -> bool:
    """Whether a file of an environment belongs to torch, torchvision or CUDA."""
    parts = path.parts
    return "site-packages" in parts and parts[parts.index("site-packages") + 1 :][:1] in {
        (name,) for name in TORCH
    }


def try_on(version: str, wheel: Path) -> bool:
    """Install the wheel into an empty environment and score with it; false without that Python."""
    if (python := interpreter(version)) is None:
        print(f"release: python{version} is not on PATH, not tried", flush=True)
        return False
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder, "environment")
        start, worked = time.monotonic(), processor_seconds()
        run(python, "-m", "venv", environment)
        run(environment / "bin/python", "-m", "pip", "install", wheel)
        installed = time.monotonic() - start
        shutil.copy(PICTURE, folder)
        print(run(environment / "bin/rsfiqa", "score", PICTURE.name, folder=Path(folder)), end="")
        scored, worked = time.monotonic() - start, processor_seconds() - worked
        check_installed_size(environment)
        size = sum(path.lstat().st_size for path in environment.rglob("*")) / MEGABYTE
    print(
        f"release: Python {version}: {size:.0f} MB installed in {installed:.0f} s,"
        f" first score after {scored:.0f} s",
        flush=True,
    )
    check_time(scored, worked)
    return True


def processor_seconds() -> float:
    """Time that the processors have worked for commands that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def check_time(seconds: float, worked: float, most: float = MOST_SECONDS) -> None:
    """Compare the time until the first score with what is promised.

    A slow network or a busy machine is named, since neither is the release's.

    Args:
        seconds: until the first score.
        worked: that the processors worked meanwhile.
        most: seconds that are promised.

    Raises:
        SystemExit: the work alone takes longer.
    """
    if worked > most:
        sys.exit(
            f"release: the first score must take at most {most:g} s of work, took {worked:.0f}"
        )
    if seconds > most:
        print(
            f"release: {most:g} s are promised; the processors worked {worked:.0f} s, the network"
            " or other programs took the rest",
            flush=True,
        )


def interpreter(version: str) -> str | None:
    """The path of a Python that starts; a shim of a version manager may not."""
    path = shutil.which(f"python{version}")
    if (
        path is None
        or subprocess.run([path, "--version"], capture_output=True, check=False).returncode
    ):
        return None
    return path


def run(*words: str | Path, folder: Path | None = None) -> str:
    """What a command prints, which must succeed; it runs without this checkout on its path."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    line = [str(word) for word in words]
    done = subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}release: {' '.join(line)} failed")
    return done.stdout


if __name__ == "__main__":
    main()
