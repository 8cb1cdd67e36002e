"""API keys as digests: made from the text of key files, compared in the same time whatever is presented."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

HASHED = "sha256:"


class KeyInvalidError(Exception):
    """A line of a key file cannot be a key; says which, and never what it holds."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The known keys: pairs of a SHA-256 digest and the name of the file that holds the key."""

    digests: tuple[tuple[bytes, str], ...] = ()

    def name_of(self, presented: bytes) -> str | None:
        """Return the name of a presented key, None for one that is not known.

        Every digest is compared, and each in constant time: how long it takes tells nothing of the keys.
        """
        digest = sha256(presented).digest()
        found: str | None = None
        for known, name in self.digests:
            if hmac.compare_digest(known, digest):
                found = name
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The names, each once."""
        return tuple(dict.fromkeys(name for _, name in self.digests))


def keyring(files: Mapping[str, str]) -> Keyring:
    """Return the keys in `files`, name to text: one key a line, or `sha256:` and the hexadecimal digest of one.

    Empty lines and lines that begin with `#` are left out. Raises KeyInvalidError.
    """
    return Keyring(tuple((digest, name) for name, text in sorted(files.items()) for digest in _digests(name, text)))


def _digests(name: str, text: str) -> Iterable[bytes]:
    for number, line in enumerate(text.splitlines(), 1):
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        if any(not "!" <= char <= "~" for char in key):
            raise KeyInvalidError(f"{name}, line {number}: holds what no header can carry; use printable ASCII")
        yield _digest(name, number, key)


def _digest(name: str, number: int, key: str) -> bytes:
    if not key.startswith(HASHED):
        return sha256(key.encode()).digest()
    try:
        digest = bytes.fromhex(key.removeprefix(HASHED))
    except ValueError:
        digest = b""
    if len(digest) != sha256().digest_size:
        raise KeyInvalidError(f"{name}, line {number}: is no SHA-256 digest; write 64 hexadecimal digits after sha256:")
    return digest
