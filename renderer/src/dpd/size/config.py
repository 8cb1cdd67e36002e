"""A model's config.json, as Hugging Face writes it → its shape. What cannot be told apart is refused by name."""

from dataclasses import replace

from dpd.size.architecture import Cache, Model, RefusedError, Weights
from dpd.size.keys import Keys, Tree
from dpd.size.parameters import weights
from dpd.size.refusals import refuse

_EXPERTS = ("n_routed_experts", "num_local_experts", "num_experts")
_UNSTRETCHED = frozenset({"", "default", "llama3", "longrope", "su", "mrope"})
_WINDOWED = ("sliding_attention", "chunked_attention")


def model_of(config: Tree, name: str = "config.json") -> Model:
    """Return the model a configuration describes. `name` stands for it in messages. Raises RefusedError."""
    outer = Keys(config, name)
    refuse(outer)
    keys, notes = outer, []
    inner = outer.first_set(("text_config", "llm_config", "language_config"))
    if inner:
        keys = outer.part(inner)
        refuse(keys)
        if outer.first_set(("vision_config", "audio_config")):
            notes.append("its vision and audio parts are not counted, nor is the KV of images")
    quantized = (
        outer.part("quantization_config") if outer.held.get("quantization_config") else keys.part("quantization_config")
    )
    cache = _cache(keys)
    if quantized.first_set(("kv_cache_scheme", "kv_cache_quant_algo")):
        notes.append(
            "the checkpoint has scales for FP8 KV; 2 bytes a value are counted unless --kv-cache-dtype says fp8"
        )
    experts = keys.maybe(*_EXPERTS) or 0
    return Model(
        name=keys.text("model_type") or "model",
        cache=cache,
        weights=weights(keys, cache, quantized),
        experts=experts,
        chosen=keys.maybe("num_experts_per_tok", "moe_topk") or 0 if experts else 0,
        hidden=keys.maybe("hidden_size", "n_embd") or 0,
        inner=keys.maybe("moe_intermediate_size" if experts else "intermediate_size", "intermediate_size") or 0,
        vocabulary=keys.maybe("vocab_size") or 0,
        longest=_longest(keys),
        notes=tuple(notes),
    )


def with_weights(model: Model, total: float | None, origin: str) -> Model:
    """Return the model with as many bytes of weights as its files have, or a flag says."""
    if total is None:
        return model
    found = model.weights.scaled(total, origin) if model.weights else Weights(total, 0, 0, total / 2, origin)
    return replace(model, weights=found)


def _cache(keys: Keys) -> Cache:
    heads = keys.whole("num_attention_heads", "n_head")
    layers = keys.whole("num_hidden_layers", "n_layer")
    latent = keys.maybe("kv_lora_rank")
    if latent:
        return Cache(layers, heads, 1, 0, latent=latent + keys.whole("qk_rope_head_dim"))
    head_dim = keys.maybe("head_dim") or keys.whole("hidden_size", "n_embd") // heads
    if not head_dim:
        raise RefusedError(keys.name, f"hidden_size is less than the {heads} heads", "repair one of them")
    windowed, window = _windows(keys, layers)
    return Cache(layers, heads, _kv_heads(keys, heads), head_dim, windowed=windowed, window=window)


def _longest(keys: Keys) -> int | None:
    """Tokens the model was made for; None when its positions are stretched, by how much being the engine's matter."""
    scaling = keys.part("rope_scaling")
    kind = scaling.text("rope_type") or scaling.text("type")
    if kind not in _UNSTRETCHED:
        return None
    return keys.maybe("max_position_embeddings", "n_positions")


def _kv_heads(keys: Keys, heads: int) -> int:
    if keys.held.get("multi_query") is True:
        return 1
    return keys.maybe("num_key_value_heads", "num_kv_heads", "n_head_kv") or heads


def _windows(keys: Keys, layers: int) -> tuple[int, int]:
    """How many layers look back only so far, and how far; (0, 0) when all see everything."""
    window = keys.maybe("sliding_window", "attention_chunk_size")
    if window is None or keys.held.get("use_sliding_window") is False:
        return 0, 0
    listed = keys.items("layer_types")
    if listed:
        count = sum(each in _WINDOWED for each in listed)
    elif pattern := keys.maybe("sliding_window_pattern", "_sliding_window_pattern"):
        count = layers - layers // pattern
    elif keys.text("model_type") in {"gemma2", "gpt_oss"}:
        count = layers - layers // 2
    elif keys.held.get("use_sliding_window") is True:
        count = max(0, layers - (keys.maybe("max_window_layers") or 0))
    else:
        count = layers
    return (count, window) if count else (0, 0)
