"""How well captioners name distortions on the eight photographs of Kodak that are kept for it.

Usage: python benchmarks/teach.py DATA. DATA holds kodak. Single local distortions, region by
region, 12 families at 5 levels and none; a few minutes on two cores.
"""

import json
import sys
from pathlib import Path

from figures import ROOT, run, write

FOLDER = ROOT / "results" / "bench" / "teach"


def main() -> None:
    """Make the examples, test, write the figures."""
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "kodak").is_dir():
        sys.exit("usage: python benchmarks/teach.py DATA, a folder that holds kodak")
    rsfiqa = (sys.executable, "-m", "rsfiqa")
    kodak, examples = FOLDER / "kodak", FOLDER / "examples"
    run(*rsfiqa, "prepare", kodak, "--layout", "kodak", "--root", Path(sys.argv[1]) / "kodak")
    run(*rsfiqa, "segment", kodak)
    run(*rsfiqa, "teach", "data", examples, "--source", kodak, "--part", "test")
    run(*rsfiqa, "teach", "test", examples)
    found = json.loads((examples / "tests" / "measured.test.json").read_text("utf-8"))
    chance = {name: value for name, value in found.items() if name.startswith("chance_")}
    own = {
        f"measured_{name}": value
        for name, value in found.items()
        if name not in chance and name != "n"
    }
    write("bench-teach", {"n": found["n"], **chance, **own}, "make bench-teach DATA=DIR")


if __name__ == "__main__":
    main()
