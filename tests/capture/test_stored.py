"""What is stored: real nginx, real uploader, a real S3 service; the engine is scripted or simulated."""

import base64
import gzip
import json
import os
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest

from capture.running import COMPLETIONS, HANDED_OVER, capturing, echo, engine, objects, records
from chart.proxy import PATIENCE
from chart.upstream import read_body, send_event, start_stream
from model.bucket import BUCKET, Service
from router.simulated import Sim

JSON = {"jsonContentTypes": ["application/json"], "csvContentTypes": ["text/csv"]}
KIBIBYTE = 1024


def data(side: Any) -> bytes:
    """Return a payload's bytes."""
    return base64.b64decode(side["data"]) if side["encoding"] == "BASE64" else side["data"].encode()


def test_request_and_answer_are_stored_as_they_passed(bucket: Service, tmp_path: Path) -> None:
    body = json.dumps(
        {"messages": [{"role": "user", "content": 'grüß Gott \u2028 \\ " \x7f'}]}, ensure_ascii=False
    ).encode()
    with capturing(tmp_path, bucket, captureContentTypeHeader=JSON) as pod, engine(pod.proxy, echo):
        headers = {"X-Amzn-SageMaker-Inference-Id": "i-1", "X-Amzn-SageMaker-Custom-Attributes": "a=b"}
        assert pod.post(body, {"X-Request-Id": "r-1", **headers}).content == body
        pod.stored(1)
    ((key, content),) = objects(bucket).items()
    folder = "captures/5d40535de1622c43/pod/dpd-test/AllTraffic"
    assert re.fullmatch(folder + r"/\d{4}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl", key)
    assert content.endswith(b"}\n")
    record = json.loads(content)
    event = record["eventMetadata"]
    assert re.fullmatch(r"[0-9a-f-]{36}", event.pop("eventId"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event.pop("inferenceTime"))
    assert event == {
        "statusCode": 200,
        "path": COMPLETIONS,
        "podName": "decode-0",
        "inferenceId": "i-1",
        "requestId": "r-1",
        "customAttributes": ["a=b"],
    }
    assert record["eventVersion"] == "0"
    assert record["captureData"] == {
        "endpointInput": {
            "observedContentType": "application/json",
            "mode": "INPUT",
            "data": body.decode(),
            "encoding": "JSON",
        },
        "endpointOutput": {
            "observedContentType": "application/json; charset=utf-8",
            "mode": "OUTPUT",
            "data": body.decode(),
            "encoding": "JSON",
        },
    }


def test_a_simulated_engines_stream_is_stored_whole(bucket: Service, tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "hello " * 50}]
    body = json.dumps({"model": "m", "stream": True, "max_tokens": 40, "messages": messages}).encode()
    with capturing(tmp_path, bucket) as pod:
        sim = Sim(pod.proxy.upstream_port, None, [], tmp_path / "engine.log")
        sim.start()
        try:
            sim.wait()
            streamed = pod.post(body)
            assert streamed.status_code == 200
            pod.stored(1)
        finally:
            sim.kill()
    (record,) = records(bucket)
    assert data(record["captureData"]["endpointInput"]) == body
    output = record["captureData"]["endpointOutput"]
    assert data(output) == streamed.content
    assert streamed.content.count(b"data: ") > 40
    assert output["observedContentType"].startswith("text/event-stream")
    assert "truncated" not in output


@pytest.mark.parametrize(
    ("content_type", "body", "encoding"),
    [
        ("application/json", b'{"a": 1}', "JSON"),
        ("Application/JSON; charset=utf-8", b'{"a": 1}', "JSON"),
        ("text/csv", b"1,2\n3,4\n", "CSV"),
        ("application/octet-stream", b"\x00\xff", "BASE64"),
        ("application/json", b'{"a": "\xff"}', "BASE64"),
    ],
)
def test_only_the_manifests_content_types_are_text(
    bucket: Service, tmp_path: Path, content_type: str, body: bytes, encoding: str
) -> None:
    with capturing(tmp_path, bucket, captureContentTypeHeader=JSON) as pod, engine(pod.proxy, echo):
        pod.post(body, {"content-type": content_type})
        pod.stored(1)
    (record,) = records(bucket)
    told = record["captureData"]["endpointInput"]
    assert (told["encoding"], told["observedContentType"], data(told)) == (encoding, content_type, body)


def test_what_is_compressed_is_no_text_and_without_types_nothing_is(bucket: Service, tmp_path: Path) -> None:
    packed = gzip.compress(b"{}")
    with capturing(tmp_path, bucket, captureContentTypeHeader=JSON) as pod, engine(pod.proxy, echo):
        pod.post(packed, {"content-encoding": "gzip"})
        pod.stored(1)
    (record,) = records(bucket)
    assert (record["captureData"]["endpointInput"]["encoding"], data(record["captureData"]["endpointInput"])) == (
        "BASE64",
        packed,
    )


@pytest.mark.parametrize("mode", ["Input", "Output"])
def test_one_side_alone_can_be_asked_for(bucket: Service, tmp_path: Path, mode: str) -> None:
    with capturing(tmp_path, bucket, captureOptions=[{"captureMode": mode}]) as pod, engine(pod.proxy, echo):
        pod.post(b'{"a": 1}')
        pod.stored(1)
    (record,) = records(bucket)
    assert list(record["captureData"]) == [f"endpoint{mode}"]
    assert data(record["captureData"][f"endpoint{mode}"]) == b'{"a": 1}'


def test_what_exceeds_the_payload_limit_is_cut_off_and_says_so(bucket: Service, tmp_path: Path) -> None:
    small, large = os.urandom(KIBIBYTE), os.urandom(5000 * KIBIBYTE)
    with capturing(tmp_path, bucket, payloadConfig__maxPayloadSizeKB=1) as pod, engine(pod.proxy, echo):
        for name, body in (("1", small), ("2", large)):
            assert pod.post(body, {"X-Request-Id": name}).content == body
        pod.stored(2)
    exact, cut = (record["captureData"] for record in records(bucket))
    for side in ("endpointInput", "endpointOutput"):
        assert data(exact[side]) == small
        assert "truncated" not in exact[side]
        assert data(cut[side]) == large[:KIBIBYTE]
        assert (cut[side]["truncated"], cut[side]["sizeBytes"]) == (True, len(large))


def test_a_body_of_unknown_length_or_without_room_passes_as_it_comes_and_its_answer_is_stored(
    bucket: Service, tmp_path: Path
) -> None:
    arrived = threading.Event()
    large = os.urandom(6000 * KIBIBYTE)

    def body() -> Iterator[bytes]:
        yield b'{"a":'
        yield b"1}"

    def answer(handler: BaseHTTPRequestHandler) -> None:
        content = read_body(handler)
        arrived.set()
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok" if content in (b'{"a":1}', large) else b"no")

    with capturing(tmp_path, bucket, "--set=capture.memoryMiB=8") as pod, engine(pod.proxy, answer):
        assert pod.client.post(COMPLETIONS, content=body(), headers={"X-Request-Id": "1"}).content == b"ok"
        assert pod.post(large, {"X-Request-Id": "2"}).content == b"ok"
        pod.stored(2)
    chunked, without_room = (record["captureData"] for record in records(bucket))
    assert (chunked["endpointInput"]["data"], chunked["endpointInput"]["truncated"]) == ("", True)
    assert without_room["endpointInput"]["sizeBytes"] == len(large)
    assert [data(each["endpointOutput"]) for each in (chunked, without_room)] == [b"ok", b"ok"]


@pytest.mark.parametrize(("share", "least", "most"), [(0, 0, 0), (50, 1, 39), (100, 40, 40)])
def test_the_sampling_percentage_is_that_of_the_invocations(
    bucket: Service, tmp_path: Path, share: int, least: int, most: int
) -> None:
    with (
        capturing(tmp_path, bucket, initialSamplingPercentage=share, bufferConfig__batchSize=1000) as pod,
        engine(pod.proxy, echo),
    ):
        for _ in range(40):
            assert pod.post().status_code == 200
        pod.proxy.eventually("model_invocations_total", 40)
        assert pod.stop() == 0
    assert least <= len(records(bucket)) <= most


def fails(handler: BaseHTTPRequestHandler) -> None:
    read_body(handler)
    handler.send_response(400)
    handler.send_header("Content-Length", "3")
    handler.end_headers()
    handler.wfile.write(b"bad")


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    read_body(handler)
    start_stream(handler)
    send_event(handler, b"first")
    handler.close_connection = True


def test_an_engines_refusal_is_stored_with_its_status(bucket: Service, tmp_path: Path) -> None:
    with capturing(tmp_path, bucket) as pod, engine(pod.proxy, fails):
        assert pod.post().status_code == 400
        pod.stored(1)
    (record,) = records(bucket)
    assert (record["eventMetadata"]["statusCode"], data(record["captureData"]["endpointOutput"])) == (400, b"bad")


def test_an_answer_that_broke_off_is_stored_as_far_as_it_came(bucket: Service, tmp_path: Path) -> None:
    with capturing(tmp_path, bucket) as pod, engine(pod.proxy, breaks_off):
        with pytest.raises(httpx.RemoteProtocolError):
            pod.post()
        pod.stored(1)
    (record,) = records(bucket)
    output = record["captureData"]["endpointOutput"]
    assert output["truncated"] is True
    assert b"first" in data(output)


def test_drains_refusals_and_what_no_engine_answered_are_no_records(bucket: Service, tmp_path: Path) -> None:
    limits = "--set=worker.requestLimits.maxConcurrentRequests=1"
    with capturing(tmp_path, bucket, limits) as pod:
        assert pod.post().status_code == 502
        release = threading.Event()
        with engine(pod.proxy, partial(held, release)):
            first = threading.Thread(target=pod.post, kwargs={"headers": {"X-Request-Id": "kept"}})
            first.start()
            pod.proxy.eventually("model_concurrent_requests", 1)
            assert pod.post().status_code == 429
            release.set()
            first.join()
            assert pod.client.get("/health").status_code == 200
            assert pod.post(headers={"X-Dpd-Transfer": "drain"}).status_code == 200
            assert pod.post(headers={"X-Dpd-Transfer": "read", "X-Request-Id": "read"}).status_code == 200
            pod.stored(2)
        assert pod.stop() == 0
    assert [record["eventMetadata"]["requestId"] for record in records(bucket)] == ["kept", "read"]


def held(release: threading.Event, handler: BaseHTTPRequestHandler) -> None:
    release.wait(PATIENCE)
    echo(handler)


def test_records_are_encrypted_with_the_manifests_key(bucket: Service, tmp_path: Path) -> None:
    key = "arn:aws:kms:us-east-2:123456789012:key/0123-abcd"
    with capturing(tmp_path, bucket, kmsKeyId=key) as pod, engine(pod.proxy, echo):
        pod.post()
        pod.stored(1)
    (name,) = objects(bucket)
    head = bucket.client("s3").head_object(Bucket=BUCKET, Key=name)  # type: ignore[attr-defined]
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_a_batch_is_one_object_and_what_is_left_is_stored_when_the_pod_stops(bucket: Service, tmp_path: Path) -> None:
    with capturing(tmp_path, bucket, bufferConfig__batchSize=3) as pod, engine(pod.proxy, echo):
        for number in range(5):
            pod.post(headers={"X-Request-Id": str(number)})
        pod.stored(3)
        pod.handed_over(5)
        assert pod.proxy.counts()["dpd_capture_stored_objects_total"] == 1
        assert pod.stop() == 0
    assert [record["eventMetadata"]["requestId"] for record in records(bucket)] == list("01234")
    assert sorted(content.count(b"\n") for content in objects(bucket).values()) == [2, 3]


def test_while_the_pod_stops_the_last_answers_are_stored_too(bucket: Service, tmp_path: Path) -> None:
    release = threading.Event()
    with capturing(tmp_path, bucket) as pod, engine(pod.proxy, partial(held, release)):
        last = threading.Thread(target=pod.post)
        last.start()
        pod.proxy.eventually("model_concurrent_requests", 1)
        stopping = threading.Thread(target=pod.stop)
        stopping.start()
        stopping.join(0.5)
        assert stopping.is_alive(), "the uploader did not wait for the proxy"
        release.set()
        stopping.join(PATIENCE)
        last.join()
    assert len(records(bucket)) == 1


def test_counts_are_shown_with_the_pods_labels(bucket: Service, tmp_path: Path) -> None:
    with capturing(tmp_path, bucket) as pod, engine(pod.proxy, echo):
        pod.post()
        pod.stored(1)
        counts = pod.proxy.counts()
        text = httpx.get(f"{pod.proxy.metrics}/metrics", trust_env=False).text
    assert counts[HANDED_OVER] == 1
    assert counts["dpd_capture_waiting_bytes"] == counts["dpd_capture_held_bytes"] == 0
    assert counts["dpd_capture_failed_puts_total"] == counts["dpd_capture_dropped_records_total"] == 0
    (line,) = [each for each in text.splitlines() if each.startswith("dpd_capture_stored_records_total")]
    assert 'resource_name="dpd-test"' in line
