"""The encoding `application/vnd.amazon.eventstream`: values into bytes, nothing else.

A message is its length, the length of its headers, a checksum of both, the headers, the payload, and a checksum of all
before. Numbers are big-endian; checksums are CRC-32.
"""

import struct
from collections.abc import Mapping
from zlib import crc32

import msgspec

CONTENT_TYPE = b"application/vnd.amazon.eventstream"
MAX_PART = 1024 * 1024  # readers take 16 MiB; a part is never held back to become so large

_LENGTHS = struct.Struct(">II")
_CHECKSUM = struct.Struct(">I")
_AROUND = 16  # bytes of a message that are neither headers nor payload
_STRING = 7  # the type of a header whose value is text


def headers(pairs: Mapping[str, str]) -> bytes:
    """Return headers with values of text; names take 255 bytes and values 32767 at most."""
    encoded = []
    for name, value in pairs.items():
        key, text = name.encode(), value.encode()
        encoded.append(struct.pack(f">B{len(key)}sBH{len(text)}s", len(key), key, _STRING, len(text), text))
    return b"".join(encoded)


def message(head: bytes, payload: bytes) -> bytes:
    """Return one message with encoded headers."""
    lengths = _LENGTHS.pack(_AROUND + len(head) + len(payload), len(head))
    start = lengths + _CHECKSUM.pack(crc32(lengths)) + head
    return b"".join((start, payload, _CHECKSUM.pack(crc32(payload, crc32(start)))))


_PART = headers({":event-type": "PayloadPart", ":content-type": "application/octet-stream", ":message-type": "event"})


def parts(data: bytes) -> bytes:
    """Return a piece of an answer as PayloadPart events: one, unless the piece is very large, and none for no bytes."""
    if 0 < len(data) <= MAX_PART:
        return message(_PART, data)
    return b"".join(message(_PART, data[at : at + MAX_PART]) for at in range(0, len(data), MAX_PART))


def exception(kind: str, members: Mapping[str, str]) -> bytes:
    """Return the message that ends a stream with an exception of the API, such as ModelStreamError."""
    head = headers({":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"})
    return message(head, msgspec.json.encode(members))
