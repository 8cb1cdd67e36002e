"""A decoder's proxy and the uploader beside it, as the chart renders them, before an S3 service."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx

from chart.helm import manifests, named, template
from chart.proxy import PATIENCE, Proxy, container, running, until
from chart.upstream import read_body, serving
from model.bucket import BUCKET, Service
from support.paths import CHART

COMPLETIONS = "/v1/chat/completions"
HANDED_OVER = "dpd_capture_records_total:handed_over"
FULL = "dpd_capture_records_total:proxy_full"
UNREACHABLE = "dpd_capture_records_total:uploader_unreachable"
UPLOADER_FULL = "dpd_capture_records_total:uploader_full"


@dataclass
class Pod:
    """The two sidecars, and the engine between whose lines a test writes."""

    proxy: Proxy
    uploader: subprocess.Popen[bytes] | None
    folder: Path

    @cached_property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.proxy.relay, timeout=PATIENCE, trust_env=False)

    def post(self, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> httpx.Response:
        told = {"content-type": "application/json", **(headers or {})}
        return self.client.post(COMPLETIONS, content=body, headers=told)

    def handed_over(self, number: int) -> None:
        """Wait until the proxy has handed that many records over."""
        self.proxy.eventually(HANDED_OVER, number)

    def stored(self, number: int) -> None:
        """Wait until that many records lie in the bucket."""
        self.proxy.eventually("dpd_capture_stored_records_total", number)

    def said(self) -> str:
        return (self.folder / "uploader.log").read_text()

    def stop(self) -> int:
        """End both as Kubernetes does: the uploader is told first, and ends when the proxy has gone."""
        assert self.uploader is not None
        self.uploader.send_signal(signal.SIGTERM)
        self.proxy.process.send_signal(signal.SIGQUIT)
        return self.uploader.wait(PATIENCE)


def flags(service_url: str, settings: dict[str, Any], chart: Sequence[str]) -> list[str]:
    """Return what helm is told: `settings` of modelPod by dotted name, beside further flags."""
    pod = {"enabled": True, "bufferConfig.batchSize": 1, **settings}
    told = [f"--set-json=dataCapture.modelPod.{name}={json.dumps(value)}" for name, value in pod.items()]
    return [
        *told,
        f"--set=dataCapture.s3Uri=s3://{BUCKET}/captures/",
        f"--set=capture.s3.endpoint={service_url}",
        *chart,
    ]


@contextlib.contextmanager
def uploading(folder: Path, given: Sequence[str], keys: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the uploader with command and files of the decoder's pod, only folders and its first pause changed."""
    documents = manifests(template("helm", CHART / "ci" / "shapes" / "dpd-values.yaml", *given))
    for name, text in named(documents, "ConfigMap", "dpd-test-s3-uploader")["data"].items():
        (folder / name).write_text(text)
    words = container(documents, "decode", "s3-uploader")["command"]
    places = {"/etc/dpd-capture/": f"{folder}/", "/tmp/": f"{folder}/tmp/"}
    moved = [re.sub("^/etc/dpd-capture/|^/tmp/", lambda found: places[found[0]], word) for word in words]
    assert moved[0] == "python3"
    command = [sys.executable, "-S", *moved[1:], "--pause", "0.02"]
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LD_LIBRARY_PATH")}
    with (folder / "uploader.log").open("wb") as log:
        process = subprocess.Popen(command, env={**environment, "POD_NAME": "decode-0", **keys}, stderr=log)
        try:
            until((folder / "tmp" / "capture.sock").is_socket, "the uploader listens")
            yield process
        finally:
            process.kill()
            process.wait(PATIENCE)


@contextlib.contextmanager
def capturing(
    folder: Path,
    service: Service | str,
    *chart: str,
    has_uploader: bool = True,
    **settings: Any,
) -> Iterator[Pod]:
    """Run both until the block ends. `service`: an S3 service with its keys, or the address of one without."""
    url, keys = (service, {}) if isinstance(service, str) else (service.url, keys_of(service))
    given = flags(url, {name.replace("__", "."): value for name, value in settings.items()}, chart)
    with running(folder, *given) as proxy, contextlib.ExitStack() as stack:
        uploader = stack.enter_context(uploading(folder, given, keys)) if has_uploader else None
        pod = Pod(proxy, uploader, folder)
        stack.callback(pod.client.close)
        yield pod


def keys_of(service: Service) -> dict[str, str]:
    """Return an S3 service's keys as a Secret gives them to the container."""
    return {"AWS_ACCESS_KEY_ID": service.access, "AWS_SECRET_ACCESS_KEY": service.secret}


def objects(service: Service) -> dict[str, bytes]:
    """Return all that lies below captures/ by its key."""
    s3: Any = service.client("s3")
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="captures/").get("Contents", [])
    return {each["Key"]: s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in listed}


def records(service: Service) -> list[Any]:
    """Return every record that is stored, in the order of the requests' ids."""
    found = [json.loads(line) for content in objects(service).values() for line in content.decode().split("\n") if line]
    return sorted(found, key=lambda each: str(each["eventMetadata"].get("requestId", "")))


def engine(proxy: Proxy, answer: Any) -> Any:
    """Serve where the engine is."""
    return serving(proxy.upstream_port, answer)


def echo(handler: BaseHTTPRequestHandler) -> None:
    """Answer with what was asked."""
    body = read_body(handler) if handler.command == "POST" else b""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json; charset=utf-8")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
