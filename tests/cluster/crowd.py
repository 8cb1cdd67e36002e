"""Clients inside the cluster: short and long prompts, streamed, one after another, each on a connection of its own.

Usage: crowd.py HOST PORT CLIENTS   runs until /tmp/stop exists; says `ok` for each answer, or what was wrong with it.

It needs nothing but Python, for it runs as a pod.
"""

import http.client
import json
import sys
import threading
from pathlib import Path

STOP = Path("/tmp/stop")
PATIENCE_SECONDS = 60
LONG = "The quick brown fox jumps over the lazy dog. " * 120


def ask(host: str, port: int, prompt: str) -> str:
    """Return `ok`, or what was wrong with the answer."""
    body = {
        "model": "/opt/ml/model",
        "max_tokens": 16,
        "stream": True,
        "messages": [{"role": "user", "content": prompt}],
    }
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        return f"{answer.status} {text[:200]}"
    return "ok" if text.rstrip().endswith("data: [DONE]") and '"error"' not in text else f"broken off: {text[-200:]}"


def client(host: str, port: int, number: int) -> None:
    """Ask until it is time to stop."""
    count = 0
    while not STOP.exists():
        count += 1
        prompt = f"{number} {count} " + (LONG if count % 2 else "Hello.")
        # One write: several clients share the log.
        sys.stdout.write(ask(host, port, prompt).replace("\n", " ") + "\n")
        sys.stdout.flush()


def main(host: str, port: str, clients: str) -> None:
    """Entry point."""
    threads = [threading.Thread(target=client, args=(host, int(port), number)) for number in range(int(clients))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
