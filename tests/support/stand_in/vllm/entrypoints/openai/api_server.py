"""A stand-in for vLLM's server: its command line, the responses of completion_server.py.

The environment variable STAND_IN holds its faults as JSON: `message` (printed before it ends with
status 1), `unhealthy`, `crashes` (a file with the number of crashes, each after five responses). It
starts a child process, as vLLM starts its engine, and writes both process ids to the file `pids`.
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
from typing import Any

from tests.support.completion_server import Server, completion

FAULTS = json.loads(os.environ.get("STAND_IN", "{}"))


def respond(body: dict[str, Any], number: int) -> dict[str, Any]:
    crashes = Path(FAULTS.get("crashes", "/nowhere"))
    if number > 5 and crashes.is_file() and (left := int(crashes.read_text())):
        crashes.write_text(str(left - 1))
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
    if "message" in FAULTS:
        sys.exit(FAULTS["message"])
    if FAULTS.get("unhealthy"):
        time.sleep(600)
    asyncio.run(Server(respond, port=known.port, model=known.served_model_name).serve())


main()
