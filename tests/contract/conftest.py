"""What the walk through the contract starts from."""

import pytest

from contract.samples import Samples, load_samples
from contract.steps import SOURCES
from contract.walk import Walk


@pytest.fixture(scope="session")
def samples() -> Samples:
    return load_samples(SOURCES)


@pytest.fixture(scope="session")
def disaggregated(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    return Walk("disaggregated", SOURCES, samples, tmp_path_factory.mktemp("disaggregated"))


@pytest.fixture(scope="session")
def colocated(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    return Walk("colocated", SOURCES, samples, tmp_path_factory.mktemp("colocated"))
