"""What is not counted, by name: architectures whose memory is not so much per token, layer and head."""

from dpd.size.architecture import RefusedError
from dpd.size.keys import Keys

_REMEDY = "count it by what the engine says at its start: GPU KV cache size"
_STATE = "keeps a state per sequence beside its KV (state-space or linear-attention layers)"
_BY_KEY = {
    "is_encoder_decoder": "is an encoder-decoder, whose cross-attention keeps KV of its own",
    "cross_attention_layers": "has cross-attention layers, which keep the KV of images",
    "index_topk": "has sparse attention with an indexer, which keeps a cache of its own",
    "ssm_state_size": _STATE,
    "state_size": _STATE,
    "mamba_d_state": _STATE,
    "mamba_state_dim": _STATE,
    "hybrid_override_pattern": _STATE,
    "layers_block_type": _STATE,
    "attn_type_list": _STATE,
    "linear_attn_config": _STATE,
    "linear_num_key_heads": _STATE,
    "conv_L_cache": _STATE,
    "num_kv_shared_layers": "has layers that share the KV of others",
    "cla_share_factor": "has layers that share the KV of others",
    "block_configs": "has layers of different shapes",
    "num_kv_heads_per_layer": "has layers of different shapes",
    "global_head_dim": "has heads of different sizes",
    "swa_head_dim": "has heads of different sizes",
    "swa_num_key_value_heads": "has layers with different numbers of KV heads",
}
_STRANGE_LAYERS = frozenset(
    {"linear_attention", "mamba", "conv", "recurrent", "chunked_attention", "compressed_sparse"}
)
_BY_TYPE = {"mamba": _STATE, "mamba2": _STATE, "rwkv": _STATE, "recurrent_gemma": _STATE}
_EXEMPT = {"llama4_text": frozenset({"chunked_attention"})}


def refuse(keys: Keys) -> None:
    """Raise RefusedError, with the architecture's name, for a model that cannot be counted by layers and heads."""
    kind = keys.text("model_type")
    said = f"{kind or 'the model'} " + "{}"
    if kind in _BY_TYPE:
        raise RefusedError(keys.name, said.format(_BY_TYPE[kind]), _REMEDY)
    found = keys.first_set(_BY_KEY)
    if found:
        raise RefusedError(f"{keys.name}: {found}", said.format(_BY_KEY[found]), _REMEDY)
    for name in ("num_key_value_heads", "num_attention_heads", "intermediate_size"):
        if keys.items(name):
            raise RefusedError(f"{keys.name}: {name}", said.format("has layers of different shapes"), _REMEDY)
    layers = {each for each in keys.items("layer_types") if isinstance(each, str)}
    odd = sorted((layers & _STRANGE_LAYERS) - _EXEMPT.get(kind, frozenset()))
    if odd:
        raise RefusedError(f"{keys.name}: layer_types", said.format(f"has layers of type {odd[0]}"), _REMEDY)
