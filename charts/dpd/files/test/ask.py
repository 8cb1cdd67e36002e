"""`helm test`: asks an endpoint's Service what a client would, from a pod of its own.

Usage: ask.py BASE HEALTH PATH   the Service's URL, its health's path, and the path of the endpoint's invocations

Where requests take an API key, being refused one is all that is asked for.
"""

import http
import json
import ssl
import sys
import time
import urllib.error
import urllib.request

PATIENCE_SECONDS = 60
BODIES: "dict[str, dict[str, object]]" = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Say hello."}]},
    "/v1/completions": {"prompt": "Say hello."},
}


def answer(url: str, body: "dict[str, object] | None" = None) -> "tuple[int, str]":
    """Return status and text; 0 and the complaint where there is no answer at all."""
    # The name is the Service's and the certificate may be for the name outside; nothing secret is sent.
    context = ssl._create_unverified_context()  # noqa: S323
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=PATIENCE_SECONDS) as found:
            return found.status, found.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)


def say(what: str, status: int, text: str) -> None:
    """Leave a line in the pod's log."""
    sys.stdout.write(f"{what}: {status} {text[:600]}".rstrip() + "\n")


def main(base: str, health: str, path: str) -> int:
    """Entry point; returns the exit status."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    status, text = answer(base + health)
    while status != http.HTTPStatus.OK and time.monotonic() < deadline:
        time.sleep(1)
        status, text = answer(base + health)
    say(f"GET {health}", status, text)
    if status != http.HTTPStatus.OK or path not in BODIES:
        return int(status != http.HTTPStatus.OK)
    status, text = answer(f"{base}/v1/models")
    say("GET /v1/models", status, text)
    if status != http.HTTPStatus.OK:
        return int(status != http.HTTPStatus.UNAUTHORIZED)
    model = json.loads(text)["data"][0]["id"]
    status, text = answer(base + path, {"model": model, "max_tokens": 1, **BODIES[path]})
    say(f"POST {path}", status, text)
    return int(status != http.HTTPStatus.OK)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
