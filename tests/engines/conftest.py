"""Real engines for a session. They take minutes, so `make e2e-engines` runs them and `pytest` alone does not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.harness.build import Environment, build
from engines.harness.endpoint import Endpoint
from engines.harness.stacks import Stacks
from support.paths import TOOLS

WANTED = os.environ.get("DPD_ENGINES") == "1"
HERE = Path(__file__).parent
collect_ignore_glob = [] if WANTED else ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engines: runs vLLM, LMCache and NIXL; `make e2e-engines`")


def pytest_report_header() -> str:
    return f"tests/engines: {'on' if WANTED else 'off; DPD_ENGINES=1 (make e2e-engines) runs them'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.engines)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def environment() -> Iterator[Environment]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{TOOLS}{os.pathsep}{os.environ['PATH']}")
        yield build()


@pytest.fixture(scope="session")
def stacks(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    with Stacks(environment, tmp_path_factory.mktemp("engines")) as made:
        yield made


@pytest.fixture
def reference(stacks: Stacks) -> Endpoint:
    """One engine that prefills and decodes by itself: what every answer is compared with."""
    return stacks.reference()


@pytest.fixture
def disaggregated(stacks: Stacks) -> Endpoint:
    """A prefiller, a decoder and the router."""
    return stacks.disaggregated()


@pytest.fixture
def small(stacks: Stacks) -> Endpoint:
    """The same with a decoder buffer of 24 pages: less than two of the longest prompts; the router knows it."""
    return stacks.small()
