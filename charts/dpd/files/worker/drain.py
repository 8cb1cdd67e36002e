"""While a worker stops: wait until its engine has nothing left to answer. vLLM aborts whatever it has at SIGTERM.

`drain.py --url http://127.0.0.1:8000/metrics --seconds 270` is the last part of the engine's preStop, after the time
in which routers forget the worker. The proxy beside it lets streams end meanwhile. Who has nothing, says nothing of
it (an engine other than vLLM) or is gone is not waited for.

Runs on the worker image's own python3, standard library only.
"""

import argparse
import http.client
import sys
import time
import urllib.request
from collections.abc import Sequence

COUNTS = ("vllm:num_requests_running", "vllm:num_requests_waiting")
ANSWER_SECONDS = 4.0
# Between two readings; nobody is taken for idle, or for gone, by one alone.
PAUSE_SECONDS = 1.0
READINGS_IDLE = 2
READINGS_GONE = 3


def main(arguments: Sequence[str]) -> int:
    """Wait, say how it ended, and return 0: whatever happened, the engine is stopped next."""
    options = parser().parse_args(arguments)
    sys.stdout.write(f"{wait(options.url, options.seconds, options.pause)}\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(prog="drain.py", description="Wait until an engine has nothing left to answer.")
    top.add_argument("--url", required=True, help="the engine's metrics")
    top.add_argument("--seconds", type=float, required=True, help="the longest that is waited")
    top.add_argument("--pause", type=float, default=PAUSE_SECONDS, help="seconds between two readings")
    return top


def wait(url: str, seconds: float, pause: float) -> str:
    """Return why nothing is waited for any more."""
    end = time.monotonic() + seconds
    idle = silent = 0
    while (left := end - time.monotonic()) > 0:
        try:
            count = requests(get(url, min(ANSWER_SECONDS, left)))
        except (OSError, ValueError, http.client.HTTPException) as error:
            idle, silent = 0, silent + 1
            if silent == READINGS_GONE:
                return f"{url}: {error}; the engine is gone"
        else:
            if count is None:
                return f"{url}: tells no {' and no '.join(COUNTS)}; there is nothing to wait by"
            idle, silent = (0 if count else idle + 1), 0
            if idle == READINGS_IDLE:
                return "the engine has nothing left"
        time.sleep(min(pause, max(0.0, end - time.monotonic())))
    return f"{seconds:g} seconds are over, and the engine still has requests"


def get(url: str, seconds: float) -> str:
    """Return what a URL answers. Raises OSError, also for any status but 200, ValueError or HTTPException."""
    with urllib.request.urlopen(url, timeout=seconds) as answer:  # noqa: S310 - the chart writes it: our own pod over http
        return str(answer.read().decode(errors="replace"))


def requests(metrics: str) -> float | None:
    """Return how many requests an engine runs and has waiting, over all its parts; None when it does not tell."""
    found = [
        float(line.rpartition("}")[2].split()[0] if "}" in line else line.split()[1])
        for line in metrics.splitlines()
        if line.partition("{")[0].split(" ")[0] in COUNTS
    ]
    return sum(found) if found else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
