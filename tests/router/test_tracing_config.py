import subprocess
import sys

import pytest

from dpd_router.config.load import from_document
from dpd_router.config.tracing import Traced
from dpd_router.errors import ConfigInvalidError


def read(**sections):
    pools = {"decode": [{"host": "127.0.0.1"}]}
    return from_document({"endpoint": {"name": "e"}, "pools": pools, **sections}).surface.tracing


def test_there_are_no_traces_unless_they_are_asked_for():
    assert read() is None


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        ("https://traces.example/otlp/v1/traces", "https://traces.example/otlp/v1/traces"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
    ],
)
def test_an_endpoint_without_a_path_has_otlps(endpoint, url):
    assert read(tracing={"endpoint": endpoint}) == Traced(url, 0.1, 2048)


def test_what_is_said_of_traces_is_taken():
    tracing = {"endpoint": "http://collector", "ratio": 1, "queue": 10}
    assert read(tracing=tracing) == Traced("http://collector/v1/traces", 1.0, 10)


@pytest.mark.parametrize(
    ("tracing", "problem"),
    [
        ({}, "tracing.endpoint: required; add a string"),
        (
            {"endpoint": "collector:4318"},
            "tracing.endpoint: 'collector:4318' is no http or https URL; write one such as http://127.0.0.1:4318",
        ),
        (
            {"endpoint": "http://collector:port"},
            "tracing.endpoint: 'http://collector:port' is no http or https URL; "
            "write one such as http://127.0.0.1:4318",
        ),
        (
            {"endpoint": "http://c", "ratio": 10},
            "tracing.ratio: 10 is no number from 0 to 1; write the share as such a number",
        ),
        (
            {"endpoint": "http://c", "queue": 0},
            "tracing.queue: 0 is no whole number from 1 to 1000000; write such a number",
        ),
        (
            {"endpoint": "http://c", "sampling": 1},
            "tracing.sampling: is not a key of this section; known keys: endpoint, queue, ratio",
        ),
    ],
)
def test_a_problem_with_tracing_has_its_path_its_fact_and_its_remedy(tracing, problem):
    with pytest.raises(ConfigInvalidError) as caught:
        read(tracing=tracing)
    assert [str(each) for each in caught.value.problems] == [problem]


def test_a_router_without_traces_loads_nothing_of_them():
    text = "import sys, dpd_router.cli; print(*sorted(each.split('.')[0] for each in sys.modules))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert "dpd_router" in done.stdout.split()
    assert not {"opentelemetry", "google"} & set(done.stdout.split())
