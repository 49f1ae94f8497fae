"""A run that is killed at any of its steps can be undone, and the same command goes on."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# In a process of its own: it forks once a step, which needs one without threads.
SCRIPT = """
import sys
from pathlib import Path
from tests.support.culling import kill_at_every_step, make_photos

action, elsewhere = sys.argv[2:]

def prepare(root):
    table = make_photos(root, {"a.jpg": 10, "sub/a.jpg": 20, "b.jpg": 90})
    photos = root / "photos"
    (photos / "a.jpg.xmp").write_text('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http'
        '://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>')
    (photos / "a.cr2").write_text("raw")
    (photos / "a.aae").write_text("shared")
    folder = Path(elsewhere or root) / root.name / "rejects"
    words = ["--xmp"] if action == "xmp" else [f"--{action}", str(folder)]
    return [str(table), "--below", "50", *words, "--apply"]

print(kill_at_every_step(Path(sys.argv[1]), prepare, Path(elsewhere) if elsewhere else None))
"""


def kill_runs(root: Path, action: str, elsewhere: str = "") -> int:
    line = [sys.executable, "-c", SCRIPT, str(root), action, elsewhere]
    shown = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr[-3000:]
    return int(shown.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("action", ["move", "copy", "link", "xmp"])
def test_a_kill_at_any_step(tmp_path, action):
    assert kill_runs(tmp_path, action) > 10


@pytest.mark.slow
def test_a_kill_at_any_step_of_a_move_to_another_file_system(tmp_path):
    if not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    elsewhere = tempfile.mkdtemp(dir="/dev/shm")
    try:
        assert kill_runs(tmp_path, "move", elsewhere) > 20
        assert [path for path in Path(elsewhere).rglob("*") if not path.is_dir()] == []
    finally:
        shutil.rmtree(elsewhere)
