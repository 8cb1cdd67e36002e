"""Copies the endpoint's certificate to a bucket, for clients to trust; a CronJob beside the endpoint starts it.

    publish_certificate.py /certificate/tls.crt s3://bucket/folder/name.pem --region R      (AWS_…)

What lies there already is left as it is. Only the certificate is read: its key is not even mounted.
"""

import argparse
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from model_files import FetchError
from model_http import Client
from model_s3 import Bucket

_LOG = logging.getLogger("certificate")


class _AbsentError(Exception):
    """There is no such object, or none that may be read."""


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description="Copy a certificate to a bucket.")
    parser.add_argument("certificate", type=Path, help="file with the certificate, as PEM")
    parser.add_argument("target", help="s3://bucket/object")
    parser.add_argument("--region", default="", help="region of the bucket")
    parser.add_argument("--endpoint", default="", help="address of an S3-compatible service that is not AWS's")
    parser.add_argument("--attempts", type=int, default=5, help="failures in a row before it gives up")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds before the first new attempt")
    return parser


def publish(given: argparse.Namespace, environment: Mapping[str, str]) -> bool:
    """Copy the certificate, and say whether it was another one; raises FetchError."""
    content = _certificate(given.certificate)
    found = re.fullmatch(r"s3://([^/]+)/(.+)", given.target)
    if found is None:
        raise FetchError(f"{given.target}: no address of an object; write s3://bucket/object")
    client = Client(given.attempts, given.pause, _LOG.info)
    bucket = Bucket(found[1], "", given.region, given.endpoint, client, environment)
    try:
        held = client.document(lambda: bucket.ask_object(found[2]), _absent)
    except _AbsentError:
        held = b""
    if held == content:
        return False
    client.document(lambda: bucket.ask_object(found[2], content), _refused)
    return True


def _certificate(place: Path) -> bytes:
    try:
        content = place.read_bytes()
    except OSError as error:
        raise FetchError(f"{place}: {error.strerror}; mount the certificate there") from error
    if b"PRIVATE KEY" in content or b"-----BEGIN CERTIFICATE-----" not in content:
        raise FetchError(f"{place}: is not a certificate alone, as PEM; name the file with the certificate")
    return content


def _absent(status: int, text: str) -> str:
    if status in (403, 404) and "<Code>NoSuchBucket</Code>" not in text:
        raise _AbsentError
    return _refused(status, text)


def _refused(status: int, text: str) -> str:
    code = text.partition("<Code>")[2].partition("</Code>")[0] or str(status)
    if status in (301, 307) or (status == 400 and "<Region>" in text):
        return f"the bucket is in another region ({code}); set edge.tls.output.region"
    if status == 404:
        return f"not there ({code}); check tlsConfig.tlsCertificateOutputS3Uri"
    return f"refused ({code}); let the role of edge.tls.output.serviceAccountAnnotations put and get objects there"


def main(words: Sequence[str] | None = None) -> int:
    """Run; return 0 when the certificate lies there, 1 with one line of why not."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    given = arguments().parse_args(words)
    try:
        changed = publish(given, os.environ)
    except FetchError as error:
        _LOG.error("%s", error)
        return 1
    _LOG.info("%s: %s", given.target, "written" if changed else "is there already")
    return 0


if __name__ == "__main__":
    sys.exit(main())
