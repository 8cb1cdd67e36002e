from collections.abc import Iterator
from pathlib import Path

import pytest

from model.bucket import BUCKET, REGION, Service, serving
from model.running import held, run, start

MODEL = f"s3://{BUCKET}/llama"
READS = ("s3:ListBucket", "s3:GetObject")


@pytest.fixture
def service(files: dict[str, bytes]) -> Iterator[Service]:
    with serving(files) as running:
        yield running


def keys(service: Service, **more: str) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": service.access, "AWS_SECRET_ACCESS_KEY": service.secret, **more}


def test_a_bucket_is_fetched_by_a_user_who_may_list_and_read(
    service: Service, to: Path, files: dict[str, bytes]
) -> None:
    reader = service.user("reader", *READS)
    done = run("s3", MODEL, "--region", REGION, "--endpoint", service.url, "--to", to, env=keys(reader))
    assert done.code == 0, done.said
    assert held(to) == files
