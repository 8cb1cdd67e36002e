import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.hub import Hub, serving

MODEL = "org/model"


def weights(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
def files() -> dict[str, bytes]:
    return {
        "config.json": b'{"model_type": "llama"}',
        "empty.txt": b"",
        "model-00001-of-00002.safetensors": weights(1, 300_000),
        "model-00002-of-00002.safetensors": weights(2, 131_072),
        "sub folder/tokenizer.json": weights(3, 1000),
    }


@pytest.fixture
def source(files: dict[str, bytes], tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "model"


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    with serving(Hub(MODEL, files)) as running:
        yield running
