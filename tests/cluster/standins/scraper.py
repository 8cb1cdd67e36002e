#!/usr/bin/python3
"""Stands in for the OpenTelemetry collector: scrapes the Prometheus jobs of its configuration, serves what they say.

No processors, no OTLP, no relabelling: what is scraped comes out as it is, behind the labels of its job.
"""

import argparse
import http.server
import os
import re
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<rest>\S.*)$")
_PATIENCE_SECONDS = 5


def expanded(value: Any) -> Any:
    """Return a configuration with ${env:NAME} replaced."""
    if isinstance(value, str):
        return re.sub(r"\$\{env:(\w+)\}", lambda found: os.environ.get(found[1], ""), value)
    if isinstance(value, dict):
        return {key: expanded(each) for key, each in value.items()}
    return [expanded(each) for each in value] if isinstance(value, list) else value


def scraped(url: str, labels: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of one target, with labels of its own."""
    with urllib.request.urlopen(url, timeout=_PATIENCE_SECONDS) as answer:
        text = answer.read().decode()
    more = ",".join(f'{key}="{value}"' for key, value in labels.items())
    for line in text.splitlines():
        found = _SAMPLE.match(line)
        if found and not line.startswith("#"):
            yield f"{found['name']}{{{','.join(filter(None, (found['labels'], more)))}}} {found['rest']}"


def collected(jobs: list[dict[str, Any]]) -> str:
    """Return what all targets say now, and whether each is up."""
    lines: list[str] = []
    for job in jobs:
        for group in job["static_configs"]:
            for target in group["targets"]:
                try:
                    lines += scraped(f"http://{target}{job.get('metrics_path', '/metrics')}", group.get("labels", {}))
                    up = 1
                except (urllib.error.URLError, OSError):
                    up = 0
                lines.append(f'up{{job="{job["job_name"]}",instance="{target}"}} {up}')
    return "\n".join([*lines, ""])


def serve(address: str, answer: Any) -> threading.Thread:
    """Answer every GET at an address with what `answer` returns."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answer().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes are no news."""

    host, _, port = address.rpartition(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    return thread


def main() -> None:
    """Entry point."""
    # As process 1 of its container it would not hear of its end.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    settings = expanded(yaml.safe_load(parser.parse_args().config.read_text()))
    jobs = settings["receivers"]["prometheus"]["config"]["scrape_configs"]
    serve(settings["extensions"]["health_check"]["endpoint"], lambda: "stand-in\n")
    serve(settings["exporters"]["prometheus"]["endpoint"], lambda: collected(jobs)).join()


if __name__ == "__main__":
    main()
