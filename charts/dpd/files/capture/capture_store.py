"""Batches as objects in a bucket. A batch is tried until it is stored, with growing pauses, while the pod lives."""

import hashlib
import http.client
import logging
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from capture_buffer import Batch, Buffer
from model_aws import Keys, Request, keys_of, signed
from model_files import FetchError
from model_http import Client, request

_LONGEST_PAUSE = 60.0
_EXPECTED = (urllib.error.URLError, OSError, http.client.HTTPException, FetchError)


@dataclass(frozen=True, slots=True)
class Place:
    """Where objects go: the bucket, the prefix of their keys, and the KMS key that encrypts them, if any."""

    bucket: str
    prefix: str
    region: str
    endpoint: str
    kms_key: str

    @property
    def base(self) -> str:
        """The bucket's address: the endpoint's path, or a host of its own where the name is one label."""
        if self.endpoint or "." in self.bucket:
            base = self.endpoint.rstrip("/") or f"https://s3.{self.region}.amazonaws.com"
            return f"{base}/{urllib.parse.quote(self.bucket)}"
        return f"https://{self.bucket}.s3.{self.region}.amazonaws.com"

    def key(self, moment: datetime) -> str:
        """Return a new object's key, in a folder for each hour as SageMaker's captures have it."""
        hour = moment.strftime("%Y/%m/%d/%H")
        return f"{self.prefix}/{hour}/{moment:%M-%S}-{moment.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl".lstrip("/")


@dataclass
class Bucket:
    """Puts objects into a bucket, signed with the pod's credentials, or unsigned when it has none."""

    place: Place
    environment: Mapping[str, str]
    timeout: float = 60.0
    _keys: Keys | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _client: Client = field(default_factory=lambda: Client(1, 0, logging.getLogger("capture").info))

    def put(self, key: str, body: bytes) -> None:
        """Store one object; raises OSError, HTTPException or FetchError, and urllib's errors are OSErrors."""
        headers = {"Content-Type": "application/jsonlines"}
        if self.place.kms_key:
            headers |= {
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": self.place.kms_key,
            }
        path = urllib.parse.quote(f"/{key}", safe="/-_.~")
        asked = Request(f"{self.place.base}{path}", {}, headers, "PUT", hashlib.sha256(body).hexdigest())
        now = datetime.now(timezone.utc)  # noqa: UP017 - images with Python 3.10 are about
        keys = self._current(now)
        sent = request(asked.url, signed(asked, keys, self.place.region, now) if keys.access else headers, body)
        sent.method = "PUT"
        with self._client.opener.open(sent, timeout=self.timeout) as answer:
            answer.read()

    def _current(self, now: datetime) -> Keys:
        with self._lock:
            if self._keys is None or self._keys.ends_before(now):
                self._keys = keys_of(self.environment, self._client)
            return self._keys


class Storing:
    """Takes batches out of the buffer and stores them. One for all threads; the counters are read by whoever asks."""

    def __init__(self, buffer: Buffer, bucket: Bucket, pause: float) -> None:
        self._buffer = buffer
        self._bucket = bucket
        self._pause = pause
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.records = self.objects = self.failures = self.abandoned = 0

    def run(self) -> None:
        """Store batches until the buffer is closed and empty."""
        while batch := self._buffer.take():
            self._store(batch)

    def give_up(self) -> None:
        """Try nothing again: the pod's time is over."""
        self._stop.set()

    def _store(self, batch: Batch) -> None:
        body = b"".join(batch.lines)
        key = self._bucket.place.key(datetime.now(timezone.utc))  # noqa: UP017
        pause = self._pause
        while not self._try(key, body):
            if self._stop.wait(pause * random.uniform(0.5, 1)):  # noqa: S311 - no secret
                with self._lock:
                    self.abandoned += len(batch.lines)
                return
            pause = min(2 * pause, _LONGEST_PAUSE)
        with self._lock:
            self.records += len(batch.lines)
            self.objects += 1
        self._buffer.stored(batch)

    def _try(self, key: str, body: bytes) -> bool:
        began = time.monotonic()
        try:
            self._bucket.put(key, body)
        except _EXPECTED as error:
            with self._lock:
                self.failures += 1
            logging.getLogger("capture").warning("%s", _said(self._bucket.place, error, time.monotonic() - began))
            return False
        return True


_MEANINGS = {
    301: "the bucket is in another region; set capture.s3.region",
    307: "the bucket is in another region; set capture.s3.region",
    400: "refused; check capture.s3.region and dataCapture.modelPod.kmsKeyId",
    401: "refused; check the pod's credentials",
    403: "refused; let the pod's role put objects there, and use the KMS key if there is one",
    404: "there is no such bucket; check dataCapture.s3Uri",
}


def _said(place: Place, error: Exception, seconds: float) -> str:
    where = f"s3://{place.bucket}/{place.prefix}"
    if isinstance(error, urllib.error.HTTPError):
        with error:
            return f"{where}: HTTP {error.code}, {_MEANINGS.get(error.code, 'not now')}; trying again"
    return f"{where}: {error or type(error).__name__} after {seconds:.1f} s; trying again"
