import contextlib
import http.client
import http.server
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.test_process import process
from support.paths import ROOT
from support.ports import free_port

PROGRAM = ROOT / "charts/dpd/files/worker/drain.py"
SHELL = ["sh", "-c", 'sleep "$0"; exec "$@"', "0"]
IDLE = "vllm:num_requests_running 0\nvllm:num_requests_waiting 0.0\n"
BUSY = 'vllm:num_requests_running{engine="0",model_name="a} b"} 1.0\nvllm:num_requests_waiting{engine="0"} 0.0\n'
WAITING = 'vllm:num_requests_running 0\nvllm:num_requests_waiting{engine="1"} 2.0 1700000000\n'
OTHER = "# HELP vllm:num_requests_running Running.\nvllm:num_requests_running_total 1\nother_running 3\n"


class Engine:
    """Answers each question for its metrics with the next text, then always with the last; None: 503."""

    def __init__(self, *texts: str | None) -> None:
        self.texts = list(texts)
        self.asked = 0

    def next(self) -> str | None:
        self.asked += 1
        return self.texts[min(self.asked, len(self.texts)) - 1]


@contextmanager
def served(engine: Engine) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = engine.next()
            self.send_response(503 if text is None else 200)
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            thread.join()


def command(url: str, seconds: float) -> list[str]:
    program = [sys.executable, "-B", str(PROGRAM), "--url", url, "--seconds", str(seconds), "--pause", "0.02"]
    return [*SHELL, *program]


def drain(url: str, seconds: float = 60) -> str:
    done = subprocess.run(command(url, seconds), capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_an_engine_that_is_idle_twice_is_waited_for_no_longer() -> None:
    engine = Engine(IDLE)
    with served(engine) as url:
        assert drain(url) == "the engine has nothing left"
    assert engine.asked == 2


def test_what_runs_and_what_waits_is_waited_for() -> None:
    engine = Engine(BUSY, WAITING, IDLE, BUSY, None, IDLE, IDLE)
    with served(engine) as url:
        assert drain(url) == "the engine has nothing left"
    assert engine.asked == 7


def test_the_wait_ends_when_its_time_is_over() -> None:
    with served(Engine(BUSY)) as url:
        assert drain(url, 0.3) == "0.3 seconds are over, and the engine still has requests"


def test_an_engine_that_tells_nothing_of_its_requests_is_not_waited_for() -> None:
    engine = Engine(OTHER)
    with served(engine) as url:
        assert drain(url).endswith("there is nothing to wait by")
    assert engine.asked == 1


def test_an_engine_that_has_gone_is_not_waited_for() -> None:
    assert drain(f"http://127.0.0.1:{free_port()}/metrics").endswith("Connection refused>; the engine is gone")


def test_an_image_without_python_still_drains(tmp_path: Path) -> None:
    done = subprocess.run([*SHELL, str(tmp_path / "python3")], capture_output=True, check=False)
    assert done.returncode == 127  # of exec, so the sleep before it has ended


def test_a_stream_of_an_engine_that_is_told_to_stop_once_it_is_idle_ends_well() -> None:
    assert end_of_a_stream(200, drained=True) == "length"


def test_a_stream_of_an_engine_that_is_told_to_stop_at_once_does_not() -> None:
    assert end_of_a_stream(4000, drained=False) != "length"


def end_of_a_stream(tokens: int, *, drained: bool) -> str:
    """Return why a stream ended whose engine gets SIGTERM after the first event, drained before or not."""
    port = free_port()
    body = {"model": "m", "prompt": "Once upon a time", "max_tokens": tokens, "ignore_eos": True, "stream": True}
    with process(port, DPD_SIM_SPEED="1") as engine:
        address = f"http://127.0.0.1:{port}"
        asked = urllib.request.Request(
            f"{address}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked) as answer:
            answer.readline()
            before = command(f"{address}/metrics", 60) if drained else ["true"]
            stopper = threading.Thread(target=stop, args=(before, engine))
            stopper.start()
            reasons = list(reasons_of(answer))
            stopper.join()
    return reasons[-1] if reasons else "broken off"


def stop(before: list[str], engine: subprocess.Popen[str]) -> None:
    """Stop an engine as a kubelet does: its preStop, then SIGTERM."""
    subprocess.run(before, check=True, stdout=subprocess.DEVNULL)
    engine.terminate()


def reasons_of(answer: http.client.HTTPResponse) -> Iterator[str]:
    """Yield every finish reason of a stream, as far as it comes."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        for line in answer:
            _, is_event, event = line.decode().partition("data: {")
            if is_event:
                for choice in json.loads("{" + event).get("choices", []):
                    yield from filter(None, [choice.get("finish_reason")])
