"""Configurations of the models whose names are known (`dpd.models`), so that a manifest alone can be counted."""

from typing import Any

from dpd.models import Shape

_FIELDS = (
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "vocab_size",
    "max_position_embeddings",
)
_ROWS: dict[str, tuple[str, int, int, int, int, int]] = {
    "Llama 3 8B": ("llama", 4096, 14336, 32, 128256, 131072),
    "Llama 3 70B": ("llama", 8192, 28672, 64, 128256, 131072),
    "Llama 3.1 405B": ("llama", 16384, 53248, 128, 128256, 131072),
    "Qwen2.5 32B": ("qwen2", 5120, 27648, 40, 152064, 32768),
    "Qwen2.5 72B": ("qwen2", 8192, 29568, 64, 152064, 32768),
    "Qwen3 32B": ("qwen3", 5120, 25600, 64, 151936, 40960),
    "Mistral Large 2": ("mistral", 12288, 28672, 96, 32768, 131072),
}


def config_of(shape: Shape) -> dict[str, Any]:
    """Return the configuration of a model by the name of its shape."""
    return {
        **dict(zip(_FIELDS, _ROWS[shape.name], strict=True)),
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
    }
