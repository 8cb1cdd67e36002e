"""What a config.json comes to: KV, weights, and what is refused by name."""

from contextlib import suppress

import pytest

from dpd.models import _KNOWN
from dpd.size.architecture import RefusedError, Split
from dpd.size.config import model_of, with_weights
from dpd.size.known import config_of

LLAMA_70B = {
    "model_type": "llama",
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
}
DEEPSEEK_V3 = {
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "vocab_size": 129280,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}
MIXTRAL = {
    "model_type": "mixtral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "sliding_window": None,
}
QWEN3_235B = {
    "model_type": "qwen3_moe",
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "moe_intermediate_size": 1536,
    "num_hidden_layers": 94,
    "num_attention_heads": 64,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "vocab_size": 151936,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "use_sliding_window": False,
    "sliding_window": 4096,
}
GPT_OSS_120B = {
    "model_type": "gpt_oss",
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_hidden_layers": 36,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 201088,
    "num_local_experts": 128,
    "num_experts_per_tok": 4,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 18,
    "quantization_config": {"quant_method": "mxfp4"},
}
GIB = 1024**3


@pytest.mark.parametrize(
    ("config", "billions", "active"),
    [(LLAMA_70B, 70.55, 69.5), (DEEPSEEK_V3, 671.0, 36.5), (MIXTRAL, 46.7, 12.7), (QWEN3_235B, 235.1, 21.5)],
    ids=["llama-70b", "deepseek-v3", "mixtral", "qwen3-235b"],
)
def test_parameters_are_as_many_as_the_models_are_known_for(config, billions, active) -> None:
    weights = model_of(config).weights
    assert weights
    assert weights.total / 2e9 == pytest.approx(billions, rel=0.002)
    assert weights.active / 1e9 == pytest.approx(active, rel=0.01)


def test_grouped_heads_are_dealt_to_the_ranks_and_copied_beyond_their_number() -> None:
    cache = model_of(LLAMA_70B).cache
    assert cache.kind == "GQA"
    assert [cache.token_bytes(Split(tensor), 2) for tensor in (1, 2, 8, 16)] == [327680, 163840, 40960, 40960]


def test_fp8_halves_the_kv_of_a_token() -> None:
    assert model_of(LLAMA_70B).cache.token_bytes(Split(8), 1) == 20480


def test_mla_keeps_one_row_on_every_rank_whole() -> None:
    cache = model_of(DEEPSEEK_V3).cache
    assert cache.kind == "MLA"
    assert cache.token_bytes(Split(1), 2) == cache.token_bytes(Split(8), 2) == 61 * (512 + 64) * 2


def test_pipeline_stages_share_the_layers() -> None:
    model = model_of(LLAMA_70B)
    assert model.cache.token_bytes(Split(4, 2), 2) == model.cache.token_bytes(Split(8, 1), 2)
    assert model.weights
    assert model.weights.per_rank(Split(4, 2)) == pytest.approx(model.weights.per_rank(Split(8, 1)), rel=0.01)


def test_layers_with_a_window_spare_room_only_without_a_connector() -> None:
    cache = model_of(GPT_OSS_120B).cache
    assert (cache.windowed, cache.window) == (18, 128)
    layer = 2 * 8 * 64 * 2
    assert cache.sequence_bytes(10000, Split(1), 2, whole=True) == 36 * layer * 10000
    assert cache.sequence_bytes(10000, Split(1), 2, whole=False) == layer * (18 * 10000 + 18 * 128)


@pytest.mark.parametrize(
    ("given", "windowed"),
    [
        ({"sliding_window": 4096}, 80),
        ({"sliding_window": 4096, "use_sliding_window": False}, 0),
        ({"sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 70}, 10),
        ({"sliding_window": 1024, "sliding_window_pattern": 6}, 67),
        ({"model_type": "gemma2", "sliding_window": 4096}, 40),
    ],
)
def test_windows_are_read_in_every_spelling(given, windowed) -> None:
    assert model_of(LLAMA_70B | given).cache.windowed == windowed


def test_only_the_experts_of_mxfp4_are_small() -> None:
    weights = model_of(GPT_OSS_120B).weights
    assert weights
    assert weights.total / 1e9 == pytest.approx(65.2, rel=0.01)


@pytest.mark.parametrize(
    ("quantized", "share"),
    [
        ({"quant_method": "fp8"}, 0.515),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 0.282),
        ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8}}}}, 0.515),
    ],
)
def test_quantized_weights_take_less_and_embeddings_do_not(quantized, share) -> None:
    plain, small = (model_of(each).weights for each in (LLAMA_70B, LLAMA_70B | {"quantization_config": quantized}))
    assert plain
    assert small
    assert small.total / plain.total == pytest.approx(share, abs=0.002)


def test_a_quantization_that_is_not_known_leaves_the_weights_open_until_they_are_said() -> None:
    model = model_of(LLAMA_70B | {"quantization_config": {"quant_method": "new"}})
    assert model.weights is None
    said = with_weights(model, 40 * GIB, "--weights").weights
    assert said
    assert said.per_rank(Split(8)) == 5 * GIB


def test_files_that_say_their_size_are_believed() -> None:
    weights = with_weights(model_of(LLAMA_70B), 100 * GIB, "the index").weights
    assert weights
    assert weights.total == pytest.approx(100 * GIB)
    assert weights.per_rank(Split(8)) == pytest.approx(12.5 * GIB, rel=0.001)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model_type": "mamba2"}, "mamba2 keeps a state per sequence beside its KV"),
        ({"model_type": "jamba", "mamba_d_state": 16}, "mamba_d_state: jamba keeps a state per sequence"),
        ({"model_type": "qwen3_next", "linear_num_key_heads": 16}, "qwen3_next keeps a state per sequence"),
        ({"layer_types": ["linear_attention"]}, "layer_types: llama has layers of type linear_attention"),
        ({"model_type": "t5", "is_encoder_decoder": True}, "t5 is an encoder-decoder"),
        ({"model_type": "deepseek_v32", "index_topk": 2048}, "deepseek_v32 has sparse attention with an indexer"),
        ({"model_type": "mllama", "cross_attention_layers": [3]}, "mllama has cross-attention layers"),
        ({"model_type": "nemotron-nas", "block_configs": [{}]}, "nemotron-nas has layers of different shapes"),
        ({"num_key_value_heads": [8, 4]}, "num_key_value_heads: llama has layers of different shapes"),
        ({"model_type": "gemma3n", "num_kv_shared_layers": 15}, "gemma3n has layers that share the KV of others"),
        ({"num_hidden_layers": "many"}, 'num_hidden_layers: "many" is not a count'),
        ({"num_hidden_layers": None}, "no num_hidden_layers or n_layer"),
    ],
)
def test_what_cannot_be_counted_is_refused_by_name(given, said) -> None:
    with pytest.raises(RefusedError) as refused:
        model_of(LLAMA_70B | given)
    assert said in str(refused.value)
    assert "; " in str(refused.value)


STRANGE: tuple[object, ...] = (None, 0, -1, 3, 10**12, 1.5, "x", "", True, [], [1], {}, {"a": 1}, [[]], float("nan"))


@pytest.mark.parametrize(
    "config", [LLAMA_70B, DEEPSEEK_V3, QWEN3_235B, GPT_OSS_120B], ids=lambda each: each["model_type"]
)
def test_whatever_a_configuration_says_it_is_counted_or_refused_and_nothing_else(config) -> None:
    extra = [
        "rope_scaling",
        "text_config",
        "quantization_config",
        "sliding_window",
        "tie_word_embeddings",
        "model_type",
    ]
    for key in [*config, *extra]:
        for value in STRANGE:
            with suppress(RefusedError):
                assert model_of(config | {key: value}).cache.token_bytes(Split(8), 2) > 0


@pytest.mark.parametrize(("kind", "longest"), [("llama3", 131072), ("yarn", None)])
def test_stretched_positions_leave_the_longest_sequence_to_the_engine(kind, longest) -> None:
    assert model_of(LLAMA_70B | {"rope_scaling": {"rope_type": kind, "factor": 8.0}}).longest == longest


def test_the_text_part_of_a_model_with_pictures_is_counted_and_the_rest_is_told() -> None:
    model = model_of({"model_type": "gemma3", "text_config": LLAMA_70B, "vision_config": {"hidden_size": 1}})
    assert model.cache.layers == 80
    assert model.notes == ("its vision and audio parts are not counted, nor is the KV of images",)


@pytest.mark.parametrize(
    ("tensor", "said"),
    [(7, "64 attention heads cannot be dealt to 7 ranks"), (0, "")],
)
def test_heads_that_cannot_be_dealt_are_refused(tensor, said) -> None:
    if not tensor:
        model_of(LLAMA_70B).cache.check(Split(32))
        return
    with pytest.raises(RefusedError, match=said):
        model_of(LLAMA_70B).cache.check(Split(tensor))


@pytest.mark.parametrize("shape", [shape for _, shape in _KNOWN], ids=lambda shape: shape.name)
def test_every_model_that_is_known_by_name_has_a_configuration_of_its_size(shape) -> None:
    model = model_of(config_of(shape))
    assert model.weights
    size = float(shape.name.rpartition(" ")[2].removesuffix("B")) if shape.name.endswith("B") else 123
    assert model.weights.total / 2e9 == pytest.approx(size, rel=0.03)
    assert model.cache.token_bytes(Split(8), 2) == shape.bytes_per_token(8, 2)
