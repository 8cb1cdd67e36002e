"""Part of the environment: a tiny Llama with random weights and its own tokenizer; nothing comes from a hub.

Runs inside the engines' environment, as a script: `python model.py FOLDER`. The tokenizer is trained on Python's
standard library, so prompts of code and English become a sensible number of tokens. Weights are spread so widely
that the largest logit stands apart: greedy answers differ from prompt to prompt and do not hang on the last bit of
a sum.
"""

import sys
import sysconfig
from pathlib import Path

import torch  # lives in the engines' environment
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # type: ignore[import-not-found]

BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
SPECIAL = [BEGIN, END, "<|system|>", "<|user|>", "<|assistant|>", PAD, "<|tool|>"]
VOCABULARY = 2048
LONGEST = 32768
TEMPLATE = """\
{{- bos_token -}}
{%- if tools -%}<|system|>{{ tools | tojson }}{{ eos_token }}{%- endif -%}
{%- for message in messages -%}
<|{{ message['role'] }}|>{{ message['content'] if message['content'] is string else '' }}{{ eos_token }}
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}
"""


def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with a chat template."""
    library = Path(sysconfig.get_paths()["stdlib"])
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train([str(each) for each in sorted(library.glob("*.py"))[:120]], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=BEGIN, eos_token=END, pad_token=PAD, model_max_length=LONGEST
    )
    fast.chat_template = TEMPLATE
    return fast


def model() -> LlamaForCausalLM:
    """Two layers, one key-value head of 64 dimensions, 0.8 million parameters."""
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=64,
            max_position_embeddings=LONGEST,
            initializer_range=0.2,
            bos_token_id=SPECIAL.index(BEGIN),
            eos_token_id=SPECIAL.index(END),
            pad_token_id=SPECIAL.index(PAD),
        )
    ).to(torch.float32)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    tokenizer().save_pretrained(folder)
    model().save_pretrained(folder, safe_serialization=True)
