"""First stop of a prompt: text to token ids and back, without a vocabulary file.

An id spells its own piece (up to six bytes and a leading-space mark), so every engine agrees with every other and any
id can be turned back into text. Counts are close to a Llama tokenizer's on English prose: a word with its leading space
is one token, longer words are split, punctuation stands alone, digits go by three.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

PIECE_BYTES = 6
SPECIALS = ("<|begin|>", "<|header|>", "<|/header|>", "<|turn|>", "<|eos|>", "<|tool|>")
BEGIN, HEADER, HEADER_END, TURN, EOS, TOOL = range(len(SPECIALS))
_PLAIN = 1 << 48
_SPACED = 2 << 48

_PIECES = re.compile(r" ?[^\W\d_]+| ?(?:[^\w\s]+|_+)|\d{1,3}|\n+|[^\S\n]+(?!\S)|\s")


def encode(text: str) -> list[int]:
    """Token ids of plain text; special markers inside it are text like any other."""
    ids: list[int] = []
    for piece_text in _PIECES.findall(text):
        ids.extend(_spell(piece_text))
    return ids


def decode(ids: Iterable[int]) -> str:
    """Text of token ids; special tokens are left out, an id that spells nothing becomes U+FFFD."""
    return "".join(piece(i) for i in ids)


def piece(token: int) -> str:
    """Text of one token; empty for a special token."""
    if 0 <= token < len(SPECIALS):
        return ""
    mark, body = token >> 48, token & (_PLAIN - 1)
    if mark not in (1, 2):
        return "�"
    raw = body.to_bytes(PIECE_BYTES, "big").lstrip(b"\0")
    return (" " if mark == 2 else "") + raw.decode("utf-8", "replace")


def marker(token: int) -> str:
    """Name of a special token; empty for any other."""
    return SPECIALS[token] if 0 <= token < len(SPECIALS) else ""


def is_token(value: int) -> bool:
    """Whether this tokenizer can produce the id."""
    return 0 <= value < len(SPECIALS) or (value >> 48) in (1, 2)


def spell(text: str) -> int:
    """The id of a text that is one token. Raises ValueError when it is not."""
    ids = encode(text)
    if len(ids) != 1:
        raise ValueError(f"{text!r}: {len(ids)} tokens, one wanted")
    return ids[0]


def chat(messages: Sequence[tuple[str, str]], tools: str = "", generation_prompt: bool = True) -> list[int]:
    """Token ids of a conversation of (role, text) pairs under this engine's chat template.

    The template opens with a system turn of its own (twenty tokens), so one user message costs 35 tokens beside its
    text; each further turn costs five.
    """
    system = "".join(text for role, text in messages if role == "system")
    ids = [BEGIN, *_turn("system", _PREAMBLE + encode(system.strip()) + ([TOOL, *encode(tools)] if tools else []))]
    for role, text in messages:
        if role != "system":
            ids.extend(_turn(role, encode(text.strip())))
    return [*ids, *_header("assistant")] if generation_prompt else ids


def _turn(role: str, body: list[int]) -> list[int]:
    return [*_header(role), *body, TURN]


def _header(role: str) -> list[int]:
    name = encode(role)[0]
    return [HEADER, name, HEADER_END, _NEWLINES]


@lru_cache(maxsize=1 << 15)
def _spell(text: str) -> tuple[int, ...]:
    """Ids of one piece; remembered, for prose repeats itself."""
    spaced = len(text) > 1 and text[0] == " " and not text.isspace()
    body = text[1:] if spaced else text
    raw = body.encode("utf-8", "surrogatepass")
    ids = [int.from_bytes(raw[start:end], "big") for start, end in pairwise(_cuts(body, len(raw)))]
    return ((_SPACED if spaced else _PLAIN) + ids[0], *(_PLAIN + i for i in ids[1:]))


def _cuts(text: str, size: int) -> list[int]:
    """Byte offsets that cut a piece into runs of at most six bytes, never inside a character."""
    if size == len(text):
        return [*range(0, size, PIECE_BYTES), size]
    cuts, at = [0], 0
    for char in text:
        width = len(char.encode("utf-8", "surrogatepass"))
        if at + width - cuts[-1] > PIECE_BYTES:
            cuts.append(at)
        at += width
    return [*cuts, at]


_NEWLINES = encode("\n\n")[0]
_PREAMBLE = encode("A made up engine speaks here. It knows no facts and it will only count what you say.")
