"""The same assertions about simulated and real engines, each started from the rendered pods.

Real engines take minutes: with DPD_ENGINES=1 (`make e2e-engines`) they run too, without it only the simulated ones do.
So a simulator that behaves as no engine does fails here, and so does a test that no engine can pass.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.harness import prompts
from engines.harness.build import build
from engines.harness.endpoint import Endpoint, real, simulated
from engines.harness.stacks import Stacks
from support.paths import TOOLS

HERE = Path(__file__).parent
KINDS = ["simulated", "real"] if os.environ.get("DPD_ENGINES") == "1" else ["simulated"]


def pytest_report_header() -> str:
    return f"tests/engines: {', '.join(KINDS)} engines (DPD_ENGINES=1 adds the real ones)"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real: about what only the real engines say")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen: list[pytest.Item] = []
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(900))
            if item.get_closest_marker("real") and "simulated" in item.name:
                config.hook.pytest_deselected(items=[item])
                continue
        chosen.append(item)
    items[:] = chosen


@pytest.fixture(scope="session", params=KINDS)
def stacks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{TOOLS}{os.pathsep}{os.environ['PATH']}")
        runtime = real(build()) if request.param == "real" else simulated()
        with Stacks(runtime, tmp_path_factory.mktemp(request.param)) as made:
            yield made


@pytest.fixture
def reference(stacks: Stacks) -> Endpoint:
    """One engine that prefills and decodes by itself: what every answer is compared with."""
    return stacks.reference()


@pytest.fixture
def tokens(stacks: Stacks) -> prompts.Tokens:
    """Makes prompts of exactly so many token ids."""
    return prompts.tokens(stacks.vocabulary())


@pytest.fixture
def disaggregated(stacks: Stacks) -> Endpoint:
    """A prefiller, a decoder and the router."""
    return stacks.disaggregated()


@pytest.fixture
def small(stacks: Stacks) -> Endpoint:
    """The same with a decoder buffer of 24 pages: less than two of the longest prompts; the router knows it."""
    return stacks.small()


@pytest.fixture
def nixl(stacks: Stacks) -> Endpoint:
    """A prefiller, a decoder and the router, with vLLM's NixlConnector."""
    return stacks.nixl()
