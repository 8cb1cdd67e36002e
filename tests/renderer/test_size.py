"""`dpd size` as people run it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from renderer.test_size_of_models import DEEPSEEK_V3, GPT_OSS_120B, LLAMA_70B, MIXTRAL
from support.paths import EXAMPLES

PAGE = EXAMPLES / "llama-3.3-70b-dpd.yaml"
GIB = 1024**3
RATE = ("--rate", "1", "--input", "5", "--output", "5")
SHAPE = ("--layers", "80", "--kv-heads", "8", "--head-dim", "128", "--weights", "131.4Gi")


@pytest.fixture
def sized(dpd: Callable[..., Any]) -> Callable[..., Any]:
    """Run `dpd size … -o json` and return the report."""

    def run(*argv: str | Path) -> Any:
        ran = dpd("size", *argv, "-o", "json")
        assert ran.code == 0, ran.err
        return json.loads(ran.out)

    return run


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    def write(config: dict[str, Any], total: int | None = None) -> Path:
        (tmp_path / "config.json").write_text(json.dumps(config))
        if total:
            index = {"metadata": {"total_size": total}, "weight_map": {}}
            (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
        return tmp_path

    return write


def warnings(report: Any) -> list[str]:
    return [each["fact"] for each in report["warnings"]]


def test_the_arithmetic_of_hyperpods_documentation_comes_out(sized) -> None:
    """40 KB of KV a token and rank, 0.23 GB for 6,000 tokens, about 35 of them in 8 GiB."""
    report = sized(PAGE)
    assert {each["kvTokenBytes"] for each in report["engines"]} == {40 * 1024}
    buffer = report["buffer"]
    assert (buffer["bytesPerRank"], buffer["pages"]) == (8 * GIB, 819)
    prompt = next(each for each in buffer["inFlight"] if each["promptTokens"] == 6000)
    assert round(prompt["bytesPerRank"] / GIB, 2) == 0.23
    assert round(prompt["transfersByBytes"]) == 35
    assert (prompt["pages"], prompt["transfers"]) == (24, 34)
    assert report["warnings"] == []


def test_the_table_has_the_same_figures(dpd) -> None:
    out = dpd("size", PAGE).out
    assert "KV of a token, a rank       40 KiB       40 KiB" in out
    assert "6000 tokens     0.23 GiB      24          34             35.0" in out


def test_a_manifest_a_configuration_and_flags_say_the_same(sized, model) -> None:
    folder = model(LLAMA_70B)
    engine = ("--tensor-parallel-size", "8", "--gpu-memory-utilization", "0.75", "--max-model-len", "16384")
    reports = [
        sized(PAGE),
        sized(PAGE, "--model", folder / "config.json"),
        sized("--model", folder, "--instance-type", "ml.p5.48xlarge", *engine),
    ]
    by_flags = sized(*SHAPE, "--heads", "64", "--instance-type", "ml.p5.48xlarge", *engine)
    assert reports[0]["engines"] == reports[1]["engines"] == reports[2]["engines"]
    assert reports[0]["buffer"] == reports[1]["buffer"] == reports[2]["buffer"] == by_flags["buffer"]
    weights = [each["engines"][0]["perGpuBytes"]["weights"] / GIB for each in (reports[0], by_flags)]
    assert weights == pytest.approx([16.43, 16.43], abs=0.01)


def test_what_is_left_for_kv_is_the_engines_share_less_weights_and_computing(sized) -> None:
    gpu = sized(PAGE, "--overhead", "3Gi")["engines"][0]["perGpuBytes"]
    assert gpu["kv"] == gpu["engine"] - gpu["weights"] - 3 * GIB
    assert gpu["engine"] == 60 * GIB
    assert gpu["free"] == gpu["gpu"] - gpu["engine"] - gpu["buffer"] == 12 * GIB


def test_fp8_kv_holds_twice_as_much(sized) -> None:
    half, fp8 = sized(PAGE), sized(PAGE, "--kv-cache-dtype", "fp8")
    assert fp8["engines"][1]["kvTokenBytes"] * 2 == half["engines"][1]["kvTokenBytes"]
    assert fp8["buffer"]["pages"] == 1638


def test_a_buffer_too_small_for_any_long_prompt_is_called_by_its_consequence(sized) -> None:
    report = sized(PAGE, "--tensor-parallel-size", "1", "--buffer", "2Gi")
    warned = next(each for each in report["warnings"] if "never disaggregates" in each["fact"])
    assert warned["fact"] == (
        "the router never disaggregates: a prompt of routingThreshold 4096 tokens takes 17 pages, and the router owns "
        "12 of the 25 pages of a decoder's buffer"
    )
    assert warned["remedy"] == (
        'raise PD_BUFFER_SIZE to "3221225472" (3 GiB), better "11811160064" (11 GiB), or raise --tensor-parallel-size'
    )


def test_the_size_that_the_remedy_names_helps(sized) -> None:
    args = (PAGE, "--tensor-parallel-size", "1")
    assert any("never disaggregates" in each for each in warnings(sized(*args, "--buffer", "2Gi")))
    enough = warnings(sized(*args, "--buffer", "3221225472"))
    assert not any("never disaggregates" in each for each in enough)
    assert any(each.startswith("prompts of more than 4863 of the 16384 tokens") for each in enough)
    assert not any("prompts of more than" in each for each in warnings(sized(*args, "--buffer", "11811160064")))


def test_one_rank_with_the_usual_buffer_has_every_long_prompt_counted_first(sized) -> None:
    fact = "every prompt is counted by a decoder before it may use a prefiller"
    assert any(each.startswith(fact) for each in warnings(sized(PAGE, "--tensor-parallel-size", "1")))
    assert not any(
        each.startswith(fact) for each in warnings(sized(PAGE, "--tensor-parallel-size", "1", "--tokenizer"))
    )
    assert not any(each.startswith(fact) for each in warnings(sized(PAGE)))


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--gpu-memory-utilization", "0.2"), "it does not start"),
        (("--gpu-memory-utilization", "0.95"), "the transfer buffer takes 8 GiB of each GPU, and --gpu-memory-utili"),
        (("--max-model-len", "200000"), "--max-model-len 200000 is more than the 131072 of the configuration"),
        (
            ("--max-model-len", "131072"),
            "prompts of more than 104703 of the 131072 tokens that are allowed go direct",
        ),
        (("--buffer", "2Gi"), "are let into a decoder's buffer one at a time (65 pages each)"),
    ],
)
def test_what_is_unwise_is_warned_of_with_a_remedy(sized, argv, said) -> None:
    report = sized(PAGE, *argv)
    found = [each for each in report["warnings"] if said in each["fact"]]
    assert found, report["warnings"]
    assert all(each["remedy"] for each in found)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (DEEPSEEK_V3, "MLA: LMCache 0.4.3 sends it from rank 0 alone"),
        (DEEPSEEK_V3, "a mixture of experts (8 of 256 for a token)"),
        (MIXTRAL, "a mixture of experts (2 of 8 for a token)"),
        (GPT_OSS_120B, "18 of 36 layers look back 128 tokens only, and under a KV connector"),
    ],
)
def test_kinds_of_models_are_warned_of_by_name(sized, model, config, said) -> None:
    assert any(said in each for each in warnings(sized(PAGE, "--model", model(config))))


def test_weights_that_are_made_smaller_while_they_are_loaded_are_told_of(sized, manifest, tmp_path) -> None:
    (tmp_path / "endpoint.yaml").write_text(manifest({"spec.worker.args": ["-tp", "8", "--quantization", "fp8"]}))
    told = "--quantization fp8: weights are counted as they lie in the files"
    assert told in warnings(sized(tmp_path / "endpoint.yaml"))


def test_the_index_of_the_models_files_says_what_they_weigh(sized, model) -> None:
    report = sized(PAGE, "--model", model(LLAMA_70B, total=100 * GIB))
    assert report["model"]["weightsBytes"] == 100 * GIB
    assert report["model"]["weightsOrigin"] == "the model's index of files"


def test_a_colocated_endpoint_has_one_engine_and_no_buffer(sized) -> None:
    report = sized(EXAMPLES / "llama-3.3-70b-colocated.yaml")
    assert [each["role"] for each in report["engines"]] == ["worker"]
    assert "buffer" not in report


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_sized_or_says_what_is_missing(dpd, example) -> None:
    ran = dpd("size", example)
    assert (ran.code, ran.err) == (0, "") or (ran.code == 2 and "; " in ran.err), ran.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ((), "model: none is named; give its configuration, --model config.json"),
        (SHAPE, "instance type: none is named; write spec.instanceType, or say --instance-type ml.p5.48xlarge"),
        ((*SHAPE, "--instance-type", "ml.m5.large"), "ml.m5.large is not in dpd's table of types with NVIDIA GPUs"),
        (("--layers", "80"), "model: --kv-heads, --head-dim missing beside the other parts of its shape"),
        ((PAGE, "--buffer", "much"), "--buffer: much is not a size; write bytes, or a number with a unit, as in 8Gi"),
        ((PAGE, "--tensor-parallel-size", "7"), "64 attention heads cannot be dealt to 7 ranks alike"),
        ((PAGE, "--tensor-parallel-size", "0"), "--tensor-parallel-size: 0 is no count; write a whole number above 0"),
        ((PAGE, "--pipeline-parallel-size", "two"), "--pipeline-parallel-size: two is no count"),
        (
            (PAGE, "--max-model-len", "0"),
            "--max-model-len: 0 is no number of tokens; write a whole number above 0, or as in 16k",
        ),
        ((PAGE, "--max-model-len", "long"), "--max-model-len: long is no number of tokens"),
        ((PAGE, "--kv-cache-dtype", "int2"), "--kv-cache-dtype: int2 is not counted; write fp8, or one of auto"),
        ((PAGE, "--model", "/nowhere"), "/nowhere: no such file or directory; give the path of a JSON file"),
        ((PAGE, "--rate", "2"), "--input: missing beside the others of a workload; give --rate, --input and --output"),
        ((PAGE, "--rate", "0", "--input", "1", "--output", "1"), "--rate: 0 is nothing to serve"),
        ((PAGE, "--rate", "1", "--input", "16384", "--output", "9"), "are more than the 16384 of --max-model-len"),
        ((PAGE, *RATE, "--ttft=nan"), "--ttft: nan is no time to keep; give seconds above 0"),
        ((PAGE, *RATE, "--tpot=0"), "--tpot: 0 is no time to keep"),
        ((PAGE, "--ttft", "1"), "--ttft: says something of a workload, and there is none; give --rate, --input and"),
        ((PAGE, "--costs", "x.json"), "--costs: says something of a workload"),
        ((PAGE, "--layers", "0"), "model: --kv-heads, --head-dim missing"),
        ((*SHAPE, "--heads", "0"), "model: a part of its shape is below 1 or not believable; write whole numbers from"),
        (("--layers", "1" + "0" * 30, *SHAPE[2:]), "model: a part of its shape is below 1 or not believable"),
        ((PAGE, "--rate", "1e300", *RATE[2:]), "e+297 decoders would be needed, by what one of each can do; ask for"),
        ((PAGE, "--rate", "two"), "argument --rate: two is no number; write digits, as in 4 or 0.5"),
        ((PAGE, "--input", "2k"), "argument --input: 2k is no whole number; write digits, as in 400"),
        ((PAGE, "--model", "/dev/zero"), "/dev/zero: larger than 8 MiB; give the file as Hugging Face writes it"),
        (
            (PAGE, *RATE, "--costs", PAGE),
            ".yaml: is not JSON; give an object of numbers, as examples/models/costs.json",
        ),
        (("no.yaml",), "no.yaml: no such file; give the path of an InferenceEndpointConfig"),
    ],
)
def test_what_cannot_be_answered_is_bad_usage_with_a_remedy(dpd, argv, said) -> None:
    ran = dpd("size", *argv)
    assert ran.code == 2
    assert ran.out == ""
    assert said in ran.err


def test_a_bad_manifest_is_told_as_validate_tells_it(dpd, manifest) -> None:
    ran = dpd("size", "-", stdin=manifest({"spec.pdSpec.prefillSpec.replicas": 0}).encode())
    assert ran.code == 1
    assert ran.err.endswith("spec.pdSpec.prefillSpec.replicas: 0 is less than 1; write 1 or more\n")
