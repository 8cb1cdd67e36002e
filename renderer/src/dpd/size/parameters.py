"""How many parameters a configuration means, and how many bytes they take: gated transformers, dense or of experts.

Norms and biases are left out: they are less than a thousandth. A family that is not listed, or a quantization that is
not, has no weights here; then the model's index file or a flag has to say.
"""

from dataclasses import dataclass

from dpd.size.architecture import Cache, Weights
from dpd.size.keys import Keys

_GATED = frozenset(
    {
        "llama",
        "mistral",
        "mistral3",
        "ministral",
        "mixtral",
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3_moe",
        "gemma",
        "gemma2",
        "gemma3",
        "gemma3_text",
        "deepseek_v2",
        "deepseek_v3",
        "phi3",
        "phimoe",
        "granite",
        "granitemoe",
        "cohere",
        "cohere2",
        "olmo2",
        "olmo3",
        "olmoe",
        "glm4",
        "glm4_moe",
        "gpt_oss",
        "exaone4",
        "smollm3",
        "internlm3",
        "llama4",
        "llama4_text",
        "seed_oss",
        "ernie4_5",
        "ernie4_5_moe",
        "hunyuan_v1_dense",
        "dots1",
        "kimi_k2",
    }
)
_HALF = 2.0
_BITS = {"fp8": 8, "fbgemm_fp8": 8, "awq": 4, "gptq": 4, "mxfp4": 4.25}
_GROUPED = frozenset({"awq", "gptq"})
_SCALE_BITS = 20  # of a group: a scale of 16 bits and a zero point of 4
_GROUP = 128


@dataclass(frozen=True, slots=True)
class _Counts:
    """Parameters: embedding and output layer, attention cut and whole, experts, dense MLPs, routers of experts."""

    ends: int
    attention: int
    attention_whole: int
    experts: int
    dense: int
    routers: int
    active: int


def weights(keys: Keys, cache: Cache, quantized: Keys) -> Weights | None:
    """Return the bytes of a model's weights; None when its family or quantization is not known here."""
    per_value = _bytes_per_value(quantized)
    if keys.text("model_type") not in _GATED or per_value is None:
        return None
    found = _counts(keys, cache)
    experts_only = quantized.text("quant_method") == "mxfp4"
    rest = _HALF if experts_only else per_value
    cut = found.experts * per_value + (found.dense + found.attention) * rest
    whole = found.attention_whole * rest + found.routers * _HALF
    said = quantized.text("quant_method") or "bfloat16"
    ends = found.ends * _HALF
    return Weights(cut + ends, whole, ends, found.active, f"counted from the configuration, {said}")


def _bytes_per_value(quantized: Keys) -> float | None:
    """Bytes of one parameter of the quantized layers; None for a method that is not known."""
    method = quantized.text("quant_method")
    if not quantized.held:
        return _HALF
    if method == "compressed-tensors":
        bits = [_bits(each) for each in quantized.part("config_groups").held.values()]
        return max(bits) / 8 if bits and all(bits) else None
    if method not in _BITS:
        return None
    size = quantized.maybe("bits") or _BITS[method]
    extra = _SCALE_BITS / (quantized.maybe("group_size") or _GROUP) if method in _GROUPED else 0
    return (size + extra) / 8


def _bits(group: object) -> float:
    """Bits of a value in a group of compressed-tensors, its scales included; 0 when it does not say."""
    held = Keys(group if isinstance(group, dict) else {}).part("weights")
    size = held.maybe("num_bits") or 0
    return size + 16 / group_size if (group_size := held.maybe("group_size")) and size else size


def _counts(keys: Keys, cache: Cache) -> _Counts:
    hidden, layers = keys.whole("hidden_size"), cache.layers
    vocabulary = keys.whole("vocab_size") * hidden
    attention, whole = _attention(keys, cache, hidden)
    experts, sparse_layers = keys.maybe("n_routed_experts", "num_local_experts", "num_experts") or 0, 0
    if experts:
        sparse_layers = _sparse_layers(keys, layers)
    one = 3 * hidden * (keys.maybe("moe_intermediate_size") or keys.whole("intermediate_size"))
    dense_layer = 3 * hidden * (keys.maybe("intermediate_size_mlp") or keys.whole("intermediate_size"))
    shared = _shared(keys, hidden, one)
    dense = dense_layer * (layers - sparse_layers) + shared * sparse_layers
    chosen = keys.maybe("num_experts_per_tok", "moe_topk") or 1
    embeddings = 1 if keys.held.get("tie_word_embeddings") else 2
    return _Counts(
        ends=vocabulary * embeddings,
        attention=attention * layers,
        attention_whole=whole * layers,
        experts=experts * one * sparse_layers,
        dense=dense,
        routers=experts * hidden * sparse_layers,
        active=(attention + whole) * layers + dense + chosen * one * sparse_layers + vocabulary,
    )


def _attention(keys: Keys, cache: Cache, hidden: int) -> tuple[int, int]:
    """Parameters of one layer's attention: those dealt to the ranks, and those every rank holds."""
    if not cache.latent:
        return hidden * cache.head_dim * (2 * cache.heads + 2 * cache.kv_heads), 0
    plain, rotated, values = (keys.whole(each) for each in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    kept, queries = keys.whole("kv_lora_rank"), keys.maybe("q_lora_rank")
    cut = cache.heads * (kept * (plain + values) + (queries or hidden) * (plain + rotated) + values * hidden)
    return cut, hidden * (kept + rotated) + (hidden * queries if queries else 0)


def _shared(keys: Keys, hidden: int, one: int) -> int:
    """Parameters of the experts that every token meets, in one layer."""
    width = keys.maybe("shared_expert_intermediate_size")
    if width:
        return 3 * hidden * width
    count = keys.maybe("n_shared_experts") or (1 if keys.text("model_type") in {"llama4_text", "llama4"} else 0)
    return count * one


def _sparse_layers(keys: Keys, layers: int) -> int:
    """Layers that have experts; the others have one MLP each."""
    first = keys.maybe("first_k_dense_replace") or 0
    every = keys.maybe("decoder_sparse_step", "moe_layer_freq", "interleave_moe_layer_step") or 1
    alone = len([each for each in keys.items("mlp_only_layers") if isinstance(each, int)])
    return max(0, (layers - first) // every - alone)
