"""A stand-in for vLLM's server: its command line, the answers of tests/caption/server.py.

STAND_IN holds its faults as JSON: `word` and status 1 instead of a start, `deaf` (not healthy),
`deaths` (a file with the number of times that it is to kill itself after five answers). It starts
a child as vLLM's engine is one, and writes both process ids into the file `pids`.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.completion_server import Server, completion

FAULTS = json.loads(os.environ.get("STAND_IN", "{}"))


def respond(body: dict, number: int) -> dict:
    deaths = Path(FAULTS.get("deaths", "/nowhere"))
    if number > 5 and deaths.is_file() and (left := int(deaths.read_text())):
        deaths.write_text(str(left - 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return completion()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--served-model-name")
    known, _ = parser.parse_known_args()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    if "pids" in FAULTS:
        with Path(FAULTS["pids"]).open("a") as file:
            file.write(f"{os.getpid()} {child.pid}\n")
    print("INFO loading the model, no ErrorCode so far", flush=True)
    if "word" in FAULTS:
        sys.exit(FAULTS["word"])
    if FAULTS.get("deaf"):
        time.sleep(600)
    asyncio.run(Server(respond, port=known.port, model=known.served_model_name).serve())


main()
