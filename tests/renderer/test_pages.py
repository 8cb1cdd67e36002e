from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dpd.models import shape_of
from support.paths import CASES

Said = Callable[[dict[str, Any]], list[str]]
Pages = Callable[..., Any]


@pytest.fixture
def transfer(dpd: Callable[..., Any], manifest: Any) -> Pages:
    """Render the sound manifest with changes, and more arguments for both roles; return the transfer section."""

    def render(*args: str, **changes: Any) -> Any:
        text = manifest({f"spec.{key}": each for key, each in changes.items()} | {"spec.worker.args": [*args]})
        ran = dpd("render", "-", stdin=text.encode())
        assert ran.code == 0, ran.err
        return yaml.safe_load(ran.out)["transfer"]

    return render


def env(**variables: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in variables.items()]


def test_the_page_counts_819_with_the_arithmetic_beside_it() -> None:
    values = (CASES / "accept" / "dpd-page" / "values.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(values)["transfer"]["pagesPerDecoder"] == 819 == 8 * 1024**3 // (256 * 80 * 2 * 128 * 2)
    assert "8589934592 bytes / (256 tokens x 40960 bytes)" in values


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("Llama-3.3-70B-Instruct", (80, 8, 128)),
        ("meta-llama/Meta-Llama-3-70B", (80, 8, 128)),
        ("models/llama3-1-70b/v2", (80, 8, 128)),
        ("Llama-3.1-8B-Instruct", (32, 8, 128)),
        ("Meta-Llama-3.1-405B-Instruct-FP8", (126, 8, 128)),
        ("Qwen/Qwen2.5-72B-Instruct-AWQ", (80, 8, 128)),
        ("qwen2-5-32b", (64, 8, 128)),
        ("Qwen3-32B", (64, 8, 128)),
        ("mistralai/Mistral-Large-Instruct-2407", (88, 8, 128)),
        ("mistral-large-2411", (88, 8, 128)),
    ],
)
def test_a_well_known_dense_model_is_found_by_its_name(name: str, shape: tuple[int, int, int]) -> None:
    found = shape_of([name])
    assert found
    assert (found.layers, found.kv_heads, found.head_dim) == shape


@pytest.mark.parametrize(
    "name",
    [
        "",
        "my-model",
        "Mixtral-8x7B",
        "Llama-2-70B",
        "Llama-3.2-70B",
        "Llama-3.3-405B",
        "CodeLlama-70B",
        "Llama-3.1-Nemotron-70B",
        "Llama-3.3-70B-speculator",
        "DeepSeek-R1-Distill-Llama-70B",
        "Qwen3-30B-A3B",
        "Qwen2-72B",
        "Mistral-Large",
        "Mistral-Large-3",
        "Llama-3.3-70B\n",
        "Llama-3.3-70B" + "-instruct" * 10_000 + "!",
    ],
)
def test_a_model_that_is_not_known_for_sure_has_no_shape(name: str) -> None:
    assert shape_of([name]) is None


def test_a_head_is_never_cut() -> None:
    shape = shape_of(["Llama-3.3-70B"])
    assert shape
    assert [shape.bytes_per_token(ranks, 2) // 40960 for ranks in (1, 2, 3, 8, 16)] == [8, 4, 3, 1, 1]


def test_names_that_contradict_each_other_have_no_shape() -> None:
    assert shape_of(["Llama-3.3-70B", "Llama-3.1-8B"]) is None
    assert shape_of(["my-model", "weights/llama-3.3-70b", "Llama-3.1-70B"]) == shape_of(["Llama-3.3-70B"])


@pytest.mark.parametrize(
    ("args", "pages"),
    [
        (["--tensor-parallel-size=8"], 819),
        (["-tp", "4"], 409),
        (["-tp", "1"], 102),
        (["-tp", "8", "--kv-cache-dtype", "fp8_e5m2"], 1638),
        (["-tp", "8", "--kv-cache-dtype=bfloat16"], 819),
        (["-tp", "8", "--dtype", "half"], 819),
        (["-tp", "8", "--dtype", "float32"], None),
        (["-tp", "8", "--kv-cache-dtype", "nvfp4"], None),
        (["-tp", "8", "--speculative-config", "{}"], None),
    ],
)
def test_pages_are_counted_from_the_decoders_arguments(args: list[str], pages: int | None, transfer: Pages) -> None:
    assert transfer(*args).get("pagesPerDecoder") == pages


def test_pages_are_counted_from_the_buffer_that_is_in_force(transfer: Pages) -> None:
    def counted(**variables: str) -> Any:
        changes = {"worker.environmentVariables": env(PYTHONHASHSEED="0", **variables)}
        return transfer("-tp", "8", **changes).get("pagesPerDecoder")

    assert counted(PD_BUFFER_SIZE="4294967296") == 409
    assert counted(PD_BUFFER_SIZE="1", LMCACHE_PD_BUFFER_SIZE="4294967296") == 409
    assert counted(PD_BUFFER_SIZE="4294967296", LMCACHE_PD_BUFFER_SIZE="$(PD_BUFFER_SIZE)") == 409
    assert counted(PD_BUFFER_SIZE="$(SIZE)") is None
    assert counted(PD_BUFFER_SIZE="1000") is None
    assert counted(LMCACHE_CHUNK_SIZE="256") == 819
    assert counted(LMCACHE_CHUNK_SIZE="512") is None


def test_an_unknown_model_has_neither_pages_nor_a_warning(said: Said, transfer: Pages) -> None:
    assert said({"spec.modelName": "my-model"}) == []
    assert "pagesPerDecoder" not in transfer("-tp", "8", modelName="my-model")


@pytest.mark.parametrize(
    ("longest", "needed"),
    [("104703", None), ("104704", 410), ("262144", 1025), ("256K", 1025), ("104k", None), ("auto", None), ("-1", None)],
)
def test_a_longest_prompt_that_does_not_fit_the_buffer_is_told(longest: str, needed: int | None, said: Said) -> None:
    found = said({"spec.worker.args": ["-tp", "8", "--gpu-memory-utilization", "0.75", "--max-model-len", longest]})
    if needed is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith("warning: spec.worker.args[4]: a prompt of ")
        assert found[0].endswith(
            f" tokens takes {needed}, and a router owns 409 of the 819 pages in a decoder's buffer, so it goes direct, "
            "without a prefiller; raise PD_BUFFER_SIZE (8589934592 bytes / (256 tokens x 40960 bytes)), or lower "
            "--max-model-len"
        )


def test_a_buffer_that_holds_no_page_at_all_is_told(said: Said) -> None:
    (found,) = said({"spec.worker.environmentVariables": env(PYTHONHASHSEED="0", PD_BUFFER_SIZE="1000")})
    assert found.startswith(
        "warning: spec.worker.environmentVariables[1]: a prompt takes 1 at least, and a router owns 0 of the 0 pages"
    )


def test_every_page_count_of_the_cases_stands_under_its_arithmetic() -> None:
    files = [each for each in (CASES / "accept").glob("*/values.yaml") if "pagesPerDecoder" in each.read_text("utf-8")]
    assert len(files) > 5
    assert [each for each in files if not _counts(each)] == []


def _counts(values: Path) -> bool:
    """Whether the comment above the figure gives the figure when worked out."""
    text = values.read_text(encoding="utf-8")
    (line,) = [each for each in text.replace("\n  # ", " ").splitlines() if "bytes / (256 tokens x " in each]
    size, token = (int(line.split(" bytes")[at].split()[-1]) for at in (0, 1))
    return bool(yaml.safe_load(text)["transfer"]["pagesPerDecoder"] == size // (256 * token))
