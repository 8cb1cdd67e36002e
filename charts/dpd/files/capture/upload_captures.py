"""Takes captured invocations from the proxy beside it and stores them in S3, as the container s3-uploader.

    upload_captures.py --to s3://bucket/prefix --socket /tmp/capture.sock [--region R] [--endpoint URL] [--kms-key K]

The proxy hands a record over as an HTTP request on a Unix socket and is answered at once: 202, or 507 when there is no
memory left for it.
Told to stop, it serves until the proxy has gone, stores what it holds, and ends.
"""

import argparse
import logging
import os
import re
import signal
import socketserver
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from capture_buffer import Buffer, Limits
from capture_records import Captured, Texts, line
from capture_store import Bucket, Place, Storing

_MEBIBYTE = 1024**2
_THREADS = 4
_LOOK_AGAIN = 0.2


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description="Store captured invocations in S3.")
    parser.add_argument("--to", required=True, help="s3://bucket/prefix of all objects")
    parser.add_argument("--socket", required=True, type=Path, help="where the proxy hands records over")
    parser.add_argument("--region", default="", help="region of the bucket; default: AWS_REGION, else us-east-1")
    parser.add_argument("--endpoint", default="", help="address of an S3-compatible service that is not AWS's")
    parser.add_argument("--kms-key", default="", help="KMS key that encrypts the objects")
    parser.add_argument("--batch-records", type=int, default=10, help="records of one object")
    parser.add_argument("--flush-seconds", type=float, default=60, help="after which an incomplete batch is stored")
    parser.add_argument("--memory-mib", type=int, default=64, help="memory that records may take until they are stored")
    parser.add_argument("--json-types", default="", help="content types stored as JSON text, separated by commas")
    parser.add_argument("--csv-types", default="", help="content types stored as CSV text, separated by commas")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds before the first new attempt")
    parser.add_argument("--proxy-pid", type=Path, default=None, help="file that is there for as long as the proxy runs")
    parser.add_argument("--grace-seconds", type=float, default=290, help="time to end in, once told to stop")
    return parser


def place_of(given: argparse.Namespace, environment: Mapping[str, str]) -> Place:
    """Return where objects go; raises SystemExit when --to is no address of a bucket."""
    found = re.fullmatch(r"s3://([^/]+)/?(.*)", given.to)
    if found is None:
        raise SystemExit(f"{given.to}: no address of a bucket; write s3://bucket/prefix")
    region = given.region or environment.get("AWS_REGION") or "us-east-1"
    return Place(found[1], found[2].strip("/"), region, given.endpoint, given.kms_key)


class Uploader(socketserver.ThreadingUnixStreamServer):
    """The socket, and what its requests come to."""

    daemon_threads = True

    def __init__(self, socket: Path, buffer: Buffer, storing: Storing, texts: Texts, pod: str) -> None:
        socket.unlink(missing_ok=True)
        super().__init__(str(socket), _Handler)
        self._buffer = buffer
        self._storing = storing
        self._texts = texts
        self._pod = pod
        self._dropped = 0

    def take(self, captured: Captured) -> bool:
        """Take a record in; return False when there is no room."""
        if self._buffer.add(line(captured, self._texts, self._pod)):
            return True
        self._dropped += 1
        return False

    def exposition(self) -> bytes:
        """Return the counters as Prometheus reads them."""
        storing = self._storing
        rows = (
            ("dpd_capture_stored_records_total", "counter", "Records that lie in the bucket.", storing.records),
            ("dpd_capture_stored_objects_total", "counter", "Objects that were stored.", storing.objects),
            ("dpd_capture_failed_puts_total", "counter", "Attempts to store that failed.", storing.failures),
            ("dpd_capture_dropped_records_total", "counter", "Records that found no room.", self._dropped),
            ("dpd_capture_waiting_bytes", "gauge", "Bytes of records that are not stored yet.", self._buffer.held),
        )
        text = "".join(
            f"# HELP {name} {said}\n# TYPE {name} {kind}\n{name} {value}\n" for name, kind, said, value in rows
        )
        return text.encode()


class _Handler(BaseHTTPRequestHandler):
    """One connection of the proxy's."""

    protocol_version = "HTTP/1.1"
    server: Uploader

    def do_POST(self) -> None:
        """Take one record."""
        facts = {name.lower(): value for name, value in self.headers.items()}
        try:
            captured = Captured(facts, self.rfile.read(int(facts["content-length"])))
            status = 202 if self.server.take(captured) else 507
        except (KeyError, ValueError) as error:
            logging.getLogger("capture").warning("a record is not understood: %r", error)
            status = 400
        self._answer(status, b"")

    def do_GET(self) -> None:
        """Show the counters."""
        self._answer(200, self.server.exposition())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of each record."""


def types_of(text: str) -> frozenset[str]:
    """Return the content types of a list, as they are compared."""
    return frozenset(each.partition(";")[0].strip().lower() for each in text.split(",") if each.strip())


def run(given: argparse.Namespace, environment: Mapping[str, str], told: threading.Event) -> int:
    """Serve until `told` to stop, then until all is stored or time is over; returns 0 when nothing was left behind."""
    held = given.memory_mib * _MEBIBYTE
    buffer = Buffer(Limits(given.batch_records, given.flush_seconds, held, held // 8), time.monotonic)
    storing = Storing(buffer, Bucket(place_of(given, environment), environment), given.pause)
    texts = Texts(types_of(given.json_types), types_of(given.csv_types))
    threads = [threading.Thread(target=storing.run, daemon=True) for _ in range(_THREADS)]
    with Uploader(given.socket, buffer, storing, texts, environment.get("POD_NAME", "")) as uploader:
        serving = threading.Thread(target=uploader.serve_forever, kwargs={"poll_interval": _LOOK_AGAIN})
        for thread in (*threads, serving):
            thread.start()
        told.wait()
        buffer.hurry()
        deadline = time.monotonic() + given.grace_seconds
        while given.proxy_pid and given.proxy_pid.exists() and time.monotonic() < deadline:
            time.sleep(_LOOK_AGAIN)
        uploader.shutdown()
        serving.join()
    buffer.close()
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    storing.give_up()
    for thread in threads:
        thread.join(1)
    return sum(thread.is_alive() for thread in threads) + storing.abandoned


def main(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run; returns 0 when everything was stored, else 1."""
    given = arguments().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    left = run(given, environment, told)
    if left:
        logging.getLogger("capture").error("records are lost: they could not be stored in time")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
