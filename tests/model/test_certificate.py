"""The program that copies a certificate to a bucket, as the CronJob starts it, against a real S3-compatible server."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from model.bucket import BUCKET, REGION, Service, serving
from model.running import Done, environment
from support.paths import CHART

TARGET = f"s3://{BUCKET}/certificates/of chat/chat-default.pem"
KEY = "certificates/of chat/chat-default.pem"


@pytest.fixture
def service() -> Iterator[Service]:
    with serving({}) as running:
        yield running


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The program and what it needs, side by side as in the ConfigMap."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for each in (*(CHART / "files" / "model").glob("*.py"), *(CHART / "files" / "edge").glob("*.py")):
        (folder / each.name).write_bytes(each.read_bytes())
    return folder / "publish_certificate.py"


def certificate(place: Path) -> bytes:
    made = trustme.CA().issue_cert("chat.example.com").cert_chain_pems[0].bytes()
    place.write_bytes(made)
    return made


def run(program: Path, place: Path, service: Service, target: str = TARGET) -> Done:
    quick = ["--region", REGION, "--endpoint", service.url, "--pause", "0.01", "--attempts", "2"]
    done = subprocess.run(
        [sys.executable, "-S", "-B", "-u", program, place, target, *quick],
        env=environment(AWS_ACCESS_KEY_ID=service.access, AWS_SECRET_ACCESS_KEY=service.secret),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stderr)


def versions(service: Service) -> list[Any]:
    s3: Any = service.client("s3")
    return list(s3.list_object_versions(Bucket=BUCKET, Prefix="certificates/").get("Versions", []))


def stored(service: Service) -> bytes:
    s3: Any = service.client("s3")
    body: bytes = s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
    return body


def test_a_certificate_is_written_once_and_again_when_it_is_another(
    service: Service, program: Path, tmp_path: Path
) -> None:
    s3: Any = service.client("s3")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    place, writer = tmp_path / "tls.crt", service.user("writer", "s3:GetObject", "s3:PutObject")
    first = certificate(place)
    assert run(program, place, writer) == Done(0, f"{TARGET}: written\n")
    assert stored(service) == first
    assert run(program, place, writer) == Done(0, f"{TARGET}: is there already\n")
    second = certificate(place)
    assert run(program, place, writer).code == 0
    assert stored(service) == second
    assert len(versions(service)) == 2


def test_who_may_only_write_writes(service: Service, program: Path, tmp_path: Path) -> None:
    writer = service.user("writer", "s3:PutObject")
    made = certificate(tmp_path / "tls.crt")
    assert run(program, tmp_path / "tls.crt", writer) == Done(0, f"{TARGET}: written\n")
    assert stored(service) == made


@pytest.mark.parametrize(
    ("actions", "target", "said"),
    [
        (
            ("s3:GetObject",),
            TARGET,
            "refused (AccessDenied); let the role of edge.tls.output.serviceAccountAnnotations",
        ),
        (("s3:*",), "s3://elsewhere/a.pem", "not there (NoSuchBucket); check tlsConfig.tlsCertificateOutputS3Uri"),
        (("s3:*",), "chat.pem", "chat.pem: no address of an object; write s3://bucket/object"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(
    service: Service, program: Path, tmp_path: Path, actions: tuple[str, ...], target: str, said: str
) -> None:
    certificate(tmp_path / "tls.crt")
    done = run(program, tmp_path / "tls.crt", service.user("writer", *actions), target)
    assert done.code == 1
    assert said in done.said
    assert "Traceback" not in done.said


def test_a_private_key_never_leaves(service: Service, program: Path, tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("chat.example.com")
    (tmp_path / "tls.crt").write_bytes(issued.private_key_and_cert_chain_pem.bytes())
    done = run(program, tmp_path / "tls.crt", service)
    assert done.code == 1
    assert "is not a certificate alone, as PEM; name the file with the certificate" in done.said
    assert versions(service) == []


def test_a_file_that_is_not_there_is_said(service: Service, program: Path, tmp_path: Path) -> None:
    done = run(program, tmp_path / "tls.crt", service)
    assert (done.code, "No such file or directory; mount the certificate there" in done.said) == (1, True)
