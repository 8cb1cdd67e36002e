"""Names of chunks: a hash chain over a prompt's tokens, and the key one rank stores or finds a chunk under."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens [start, end) of a sequence; the hash covers everything before `end`."""

    start: int
    end: int
    digest: str


def root_hash(seed: str | None, algorithm: str = "builtin") -> str:
    """Where every chain begins: the same in processes that share PYTHONHASHSEED, random in those that do not set it."""
    if seed is None or seed in {"", "random"}:
        return secrets.token_hex(8)
    return hashlib.blake2b(f"{algorithm}/{seed}".encode(), digest_size=8).hexdigest()


def chunks(root: str, tokens: Sequence[int], size: int, partial: bool = True) -> list[Chunk]:
    """Chunks of a sequence, the last one partial (left out when `partial` is false)."""
    found: list[Chunk] = []
    digest = root
    for start in range(0, len(tokens), size):
        end = min(start + size, len(tokens))
        if end - start < size and not partial:
            break
        body = ",".join(map(str, tokens[start:end]))
        digest = hashlib.blake2b(f"{digest}|{body}".encode(), digest_size=8).hexdigest()
        found.append(Chunk(start, end, digest))
    return found


@dataclass(frozen=True, slots=True)
class KeySpace:
    """What two engines must agree on for their keys to meet."""

    model: str
    world: int
    dtype: str

    def key(self, rank: int, digest: str, tags: Mapping[str, str]) -> str:
        """The key of a chunk on one rank: model@world@rank@hash@dtype, then @name%value for each tag."""
        base = f"{self.model}@{self.world}@{rank}@{digest}@{self.dtype}"
        return base + "".join(f"@{name}%{value}" for name, value in sorted(tags.items()))


def check_key(key: str) -> None:
    """Refuse what cannot be taken apart again, such as a model path with an @ in it. Raises ValueError."""
    parts = key.split("@")
    if len(parts) < 5 or not parts[1].isdigit() or not parts[2].isdigit():
        raise ValueError(f"key {key!r}: not model@world@rank@hash@dtype")
    int(parts[3], 16)
    for tag in parts[5:]:
        if tag.count("%") != 1:
            raise ValueError(f"key {key!r}: tag {tag!r} is not name%value")
