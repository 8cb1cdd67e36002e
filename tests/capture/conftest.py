from collections.abc import Iterator

import pytest

from model.bucket import Service, serving


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving({}) as started:
        yield started


@pytest.fixture
def bucket(service: Service) -> Service:
    """The same service for each test of a module, with nothing captured in it."""
    s3 = service.client("s3")
    for each in s3.list_objects_v2(Bucket="models", Prefix="captures/").get("Contents", []):  # type: ignore[attr-defined]
        s3.delete_object(Bucket="models", Key=each["Key"])  # type: ignore[attr-defined]
    return service
