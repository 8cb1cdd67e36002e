import json

import pytest

from dpd_sim import flags
from dpd_sim.flags import FlagError, parse
from dpd_sim.settings import Knobs, SettingsError, check
from simulator.engines import BASE_ENV, settings, transfer_flag


def test_the_arguments_of_a_rendered_worker_are_understood() -> None:
    words = [
        *("--model", "/opt/ml/model", "--host", "0.0.0.0", "--port", "8000", "--tensor-parallel-size", "8"),
        *("--max-model-len", "16384", "--gpu-memory-utilization", "0.75", "--max-num-seqs", "32"),
        *("--no-enable-prefix-caching", *transfer_flag("kv_consumer")),
    ]
    got = parse(words)
    assert (got.model, got.port, got.tensor_parallel_size, got.max_model_len) == ("/opt/ml/model", 8000, 8, 16384)
    assert not got.enable_prefix_caching
    assert got.kv_transfer_config is not None
    assert got.kv_transfer_config["kv_role"] == "kv_consumer"


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--max_model_len", "16k"], "max_model_len", 16000),
        (["--max-model-len=16K"], "max_model_len", 16384),
        (["--max-model-len", "1.5k"], "max_model_len", 1500),
        (["-tp", "4"], "tensor_parallel_size", 4),
        (["--tensor_parallel_size=4"], "tensor_parallel_size", 4),
        (["--no_enable_prefix_caching"], "enable_prefix_caching", False),
        (["--enable-prefix-caching"], "enable_prefix_caching", True),
        (["--max-num-seqs", "16", "--max-num-seqs", "32"], "max_num_seqs", 32),
        (["--served-model-name", "a", "b"], "served_model_name", ("a", "b")),
        (["--api-key", "k"], "api_key", ("k",)),
        (["--disable-log-requests"], "disable_log_requests", True),
        (["--seed", "-1"], "port", 8000),
        (["--enforce-eager", "--trust-remote-code", "--quantization", "fp8"], "port", 8000),
        (["--kv-events-config", '{"enable_kv_cache_events": true}'], "port", 8000),
    ],
)
def test_flags_are_read_as_vllm_reads_them(words: list[str], name: str, value: object) -> None:
    assert getattr(parse(["--model", "m", *words]), name) == value


def test_the_model_may_come_first_without_its_flag() -> None:
    assert parse(["org/model", "--port", "1"]).model == "org/model"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "the following arguments are required: model"),
        (["--model", "m", "--tensor-paralel-size", "8"], "unrecognized arguments: --tensor-paralel-size"),
        (["--model", "m", "--max-model", "8"], "unrecognized arguments: --max-model"),
        (["--model", "m", "--max-model-len", "lots"], "argument --max-model-len: invalid integer: 'lots'"),
        (["--model", "m", "--max-model-len", "1.5"], "argument --max-model-len: invalid integer: '1.5'"),
        (["--model", "m", "--port"], "argument --port: expected one argument"),
        (["--model", "m", "--port", "99999"], "argument --port: must be between 0 and 65535, got 99999"),
        (["--model", "m", "--port", "-1"], "argument --port: must be between 0 and 65535, got -1"),
        (["--model", "m", "--port", "http"], "argument --port: invalid int value: 'http'"),
        (["--model", "m", "--kv-transfer-config", "{"], "cannot be converted to JSON"),
        (["--model", "m", "--kv-transfer-config", "[1]"], "is not a JSON object"),
        (["--model", "m", "--tensor-parallel-size", "0"], "argument --tensor-parallel-size: must be at least 1, got 0"),
        (["--model", "m", "--no-max-num-seqs"], "unrecognized arguments: --no-max-num-seqs"),
    ],
)
def test_a_flag_vllm_does_not_know_or_cannot_read_is_refused(words: list[str], text: str) -> None:
    with pytest.raises(FlagError) as refused:
        parse(words)
    assert text in str(refused.value)


@pytest.mark.parametrize("text", ["16384", "1k", "2K", "1M", "0.5G"])
def test_sizes_with_units_are_whole_numbers(text: str) -> None:
    assert flags.human_int(text) >= 1000


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-tp", "3"], "Total number of attention heads (64) must be divisible by tensor parallel size (3)."),
        (["-tp", "16"], "World size (16) is larger than the number of available GPUs (8)."),
        (["-tp", "8", "-pp", "2"], "World size (16)"),
        (["--max-model-len", "200000"], "User-specified max_model_len (200000) is greater than the derived"),
        (["--max-model-len", "-5"], "max_model_len must be at least 1, or -1 for the model's own, got -5."),
        (["--max-model-len", "0"], "max_model_len must be at least 1, or -1 for the model's own, got 0."),
        (["--gpu-memory-utilization", "1.5"], "GPU memory utilization must be greater than 0 and at most 1, got 1.5."),
        (transfer_flag("kv_owner"), "Unsupported kv_role: kv_owner"),
        (transfer_flag("kv_both", "MooncakeConnector"), "Unsupported connector type: MooncakeConnector"),
        (transfer_flag("kv_both", "LMCacheConnectorV1Dynamic"), "needs kv_connector_module_path"),
        (transfer_flag("kv_both", policy="retry"), "Unsupported kv_load_failure_policy: retry"),
    ],
)
def test_an_engine_that_vllm_would_not_start_is_not_started(words: list[str], text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check(settings(["--model", "m", *words], {"PYTHONHASHSEED": "0"}))
    assert text in str(refused.value)


def test_a_length_of_minus_one_is_the_models_own() -> None:
    own = settings(["--model", "m", "-tp", "8", "--max-model-len", "-1"], {})
    check(own)
    assert own.max_model_len == settings(["--model", "m", "-tp", "8"], {}).max_model_len == 131072


def test_all_reasons_not_to_start_are_given_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        check(settings(["--model", "m", "-tp", "3", "--max-model-len", "200000"], {}))
    assert len(str(refused.value).splitlines()) == 2


def test_a_model_that_does_not_fit_its_gpus_is_refused_when_memory_is_taken_seriously() -> None:
    with pytest.raises(SettingsError, match="larger than the maximum number of tokens that can be stored in KV cache"):
        check(settings(["--model", "m", "-tp", "1"], {"DPD_SIM_STRICT_MEMORY": "1"}))
    check(settings(["--model", "m", "-tp", "8", "--gpu-memory-utilization", "0.75"], {"DPD_SIM_STRICT_MEMORY": "1"}))


def test_the_kv_of_the_seventy_billion_model_weighs_40_kib_a_token_on_each_of_eight_ranks() -> None:
    assert settings(["--model", "m", "-tp", "8"], {}).token_bytes == 40 * 1024
    assert settings(["--model", "m", "-tp", "8", "--kv-cache-dtype", "fp8"], {}).token_bytes == 20 * 1024


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({"DPD_SIM_SPEEED": "2"}, "DPD_SIM_SPEEED: unknown knob"),
        ({"DPD_SIM_SPEED": "fast"}, "DPD_SIM_SPEED: 'fast' cannot be read as float"),
        ({"DPD_SIM_SPEED": "0"}, "DPD_SIM_SPEED: 0.0, must be above 0"),
        ({"DPD_SIM_MODEL": "gpt"}, "DPD_SIM_MODEL: 'gpt' is not one of llama-3.3-70b"),
        ({"DPD_SIM_ADMIN": "maybe"}, "DPD_SIM_ADMIN: 'maybe' cannot be read as bool"),
    ],
)
def test_a_knob_that_cannot_be_read_is_refused_with_its_name(env: dict[str, str], text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Knobs.read(env)
    assert text in str(refused.value)


def test_knobs_reach_the_shape_and_the_times() -> None:
    knobs = Knobs.read({"DPD_SIM_SHAPE_LAYERS": "3", "DPD_SIM_TIME_STEP": "0.5", "DPD_SIM_SPEED": "10", "PATH": "/"})
    assert (knobs.shape.layers, knobs.timing.step, knobs.speed) == (3, 0.5, 10.0)


def test_the_connectors_configuration_survives_as_json() -> None:
    words = transfer_flag("kv_consumer", skip_last_n_tokens=1)
    assert settings(["--model", "m", *words], BASE_ENV).flags.kv_transfer_config == json.loads(words[1])
