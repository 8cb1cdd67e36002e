"""What is refused and what is served of the bytes that clients, proxies and attackers have sent. One row each.

`REFUSED` rows get 400, the connection ends, nothing behind them is read and no engine hears of them. `SERVED` rows
reach the engine as one plain request: the framing is the router's own, nothing of the client's connection goes along.
"""

BODY = b'{"prompt":"a"}'
HOST = b"host: r\r\n"
LENGTH = b"content-length: 14\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
CHUNKS = b"e\r\n" + BODY + b"\r\n0\r\n\r\n"


def post(headers: bytes, body: bytes = b"", version: bytes = b"1.1", target: bytes = b"/v1/completions") -> bytes:
    return b"POST %b HTTP/%b\r\n" % (target, version) + HOST + headers + b"\r\n" + body


def ping(headers: bytes = b"", line: bytes = b"GET /ping HTTP/1.1", end: bytes = b"\r\n") -> bytes:
    return line + end + HOST + headers + b"\r\n"


# Two framings, or one that two readers could read differently.
_LENGTHS = {
    "both framings": post(LENGTH + CHUNKED, b"0\r\n\r\n"),
    "both framings, the other order": post(CHUNKED + LENGTH, b"0\r\n\r\n"),
    "both framings, the second in capitals": post(
        b"CONTENT-LENGTH: 14\r\nTRANSFER-ENCODING: CHUNKED\r\n", b"0\r\n\r\n"
    ),
    "two lengths": post(LENGTH + b"content-length: 15\r\n", BODY),
    "one length twice": post(LENGTH + LENGTH, BODY),
    "one length twice, spelled differently": post(LENGTH + b"Content-Length: 14\r\n", BODY),
    "a list of lengths": post(b"content-length: 14, 14\r\n", BODY),
    "a signed length": post(b"content-length: +14\r\n", BODY),
    "a negative length": post(b"content-length: -1\r\n", BODY),
    "a hexadecimal length": post(b"content-length: 0x0e\r\n", BODY),
    "a length with a point": post(b"content-length: 14.0\r\n", BODY),
    "a length with an exponent": post(b"content-length: 1e1\r\n", BODY),
    "a length with an underscore": post(b"content-length: 1_4\r\n", BODY),
    "a length with words": post(b"content-length: 14 bytes\r\n", BODY),
    "a length of two numbers": post(b"content-length: 1 4\r\n", BODY),
    "an empty length": post(b"content-length: \r\n", BODY),
    "a length in other digits": post("content-length: \u0661\u0664\r\n".encode(), BODY),
    "a length beyond 64 bits": post(b"content-length: 99999999999999999999\r\n"),
    "space before the colon": post(b"content-length : 14\r\n", BODY),
    "a tab before the colon": post(b"content-length\t: 14\r\n", BODY),
    "a length folded": post(b"content-length:\r\n 14\r\n", BODY),
    "NUL in the length": post(b"content-length: 1\x004\r\n", BODY),
}
_CODINGS = {
    "another coding": post(b"transfer-encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "chunked and another coding": post(b"transfer-encoding: chunked, gzip\r\n", b"0\r\n\r\n"),
    "no coding at all": post(b"transfer-encoding: identity\r\n"),
    "identity and chunked": post(b"transfer-encoding: identity, chunked\r\n", b"0\r\n\r\n"),
    "chunked and identity": post(b"transfer-encoding: chunked, identity\r\n", b"0\r\n\r\n"),
    "an empty coding": post(b"transfer-encoding: \r\n", b"0\r\n\r\n"),
    "a coding that looks like it": post(b"transfer-encoding: xchunked\r\n", b"0\r\n\r\n"),
    "a coding with more behind it": post(b"transfer-encoding: chunkedx\r\n", b"0\r\n\r\n"),
    "a coding with a parameter": post(b"transfer-encoding: chunked;q=1\r\n", b"0\r\n\r\n"),
    "a coding in quotes": post(b'transfer-encoding: "chunked"\r\n', b"0\r\n\r\n"),
    "a coding behind a vertical tab": post(b"transfer-encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
    "a coding and a comma": post(b"transfer-encoding: chunked,\r\n", b"0\r\n\r\n"),
    "a coding twice": post(CHUNKED + CHUNKED, b"0\r\n\r\n"),
    "a coding twice, in two": post(CHUNKED + b"transfer-encoding: identity\r\n", b"0\r\n\r\n"),
    "a coding folded": post(b"transfer-encoding:\r\n chunked\r\n", b"0\r\n\r\n"),
    "space before a coding's colon": post(b"transfer-encoding : chunked\r\n", b"0\r\n\r\n"),
    "chunks in HTTP/1.0": b"POST /v1/completions HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
}
_CHUNKS = {
    "no hexadecimal chunk size": post(CHUNKED, b"zz\r\n"),
    "an empty chunk size": post(CHUNKED, b"\r\n"),
    "a negative chunk size": post(CHUNKED, b"-1\r\n"),
    "a signed chunk size": post(CHUNKED, b"+e\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk size with its base": post(CHUNKED, b"0xe\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk size with an underscore": post(CHUNKED, b"0_e\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "space before a chunk size": post(CHUNKED, b" e\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk size beyond 64 bits": post(CHUNKED, b"fffffffffffffffff\r\n"),
    "a chunk size that wraps": post(CHUNKED, b"1000000000000000e\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "no end of a chunk": post(CHUNKED, b"5\r\nabcdeXX"),
    "a chunk shorter than it says": post(CHUNKED, b"f\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk longer than it says": post(CHUNKED, b"d\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "bare LF in chunks": post(CHUNKED, b"5\nabcde\n0\n\n"),
    "bare LF behind a size": post(CHUNKED, b"e\n" + BODY + b"\r\n0\r\n\r\n"),
    "bare CR behind a size": post(CHUNKED, b"e\r" + BODY + b"\r\n0\r\n\r\n"),
    "bare LF behind a chunk": post(CHUNKED, b"e\r\n" + BODY + b"\n0\r\n\r\n"),
    "bare LF behind the last size": post(CHUNKED, b"e\r\n" + BODY + b"\r\n0\n\r\n"),
    "bare LF in an extension": post(CHUNKED, b"e;a=b\nx\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "NUL in an extension": post(CHUNKED, b"e;a=\x00\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a length after the body": post(CHUNKED, b"0\r\ncontent-length: 3\r\n\r\n"),
    "a coding after the body": post(CHUNKED, b"0\r\ntransfer-encoding: chunked\r\n\r\n"),
}
_HEADS = {
    "bare LF": ping(line=b"GET /ping HTTP/1.1", end=b"\n"),
    "bare LF everywhere": b"GET /ping HTTP/1.1\nhost: r\n\n",
    "bare CR in a value": ping(b"x: a\rb\r\n"),
    "bare LF in a value": ping(b"x: a\nb: c\r\n"),
    "NUL in a value": ping(b"x: a\x00b\r\n"),
    "NUL in a name": ping(b"x\x00: a\r\n"),
    "an escape in a name": ping(b"\x1bx: a\r\n"),
    "a folded header": ping(b"x: a\r\n folded\r\n"),
    "a header folded with a tab": ping(b"x: a\r\n\tfolded\r\n"),
    "a fold before any header": b"GET /ping HTTP/1.1\r\n x: a\r\nhost: r\r\n\r\n",
    "a header without a name": ping(b": nothing\r\n"),
    "a header without a colon": ping(b"no colon\r\n"),
    "a name with a space": ping(b"x y: a\r\n"),
    "a name with a bracket": ping(b"x[y]: a\r\n"),
    "a name with a letter beyond ASCII": ping("x\u00e9: a\r\n".encode()),
    "no host": b"GET /ping HTTP/1.1\r\n\r\n",
    "two hosts": ping(b"host: other\r\n"),
    "an unknown expectation": post(LENGTH + b"expect: 200-maybe\r\n"),
    "two expectations": post(LENGTH + b"expect: 100-continue\r\nexpect: 100-continue\r\n"),
}
_LINES = {
    "another version": ping(line=b"GET /ping HTTP/2.0"),
    "a later version": ping(line=b"GET /ping HTTP/1.2"),
    "an old version": b"GET /ping HTTP/0.9\r\n\r\n",
    "no version": b"GET /ping\r\n\r\n",
    "a version in small letters": ping(line=b"GET /ping http/1.1"),
    "a version with more behind it": ping(line=b"GET /ping HTTP/1.1x"),
    "a tab between the words": ping(line=b"GET\t/ping\tHTTP/1.1"),
    "space before the method": ping(line=b" GET /ping HTTP/1.1"),
    "a space in the target": ping(line=b"GET /a b HTTP/1.1"),
    "a target without a slash": ping(line=b"GET ping HTTP/1.1"),
    "an empty target": ping(line=b"GET  HTTP/1.1"),
    "a byte that no URL has": ping(line=b"GET /\xff HTTP/1.1"),
    "NUL in the target": ping(line=b"GET /\x00 HTTP/1.1"),
    "an unknown method": ping(line=b"BREW /pot HTTP/1.1"),
    "a method in small letters": ping(line=b"get /ping HTTP/1.1"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a PROXY line": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + ping(),
}
REFUSED = {**_LENGTHS, **_CODINGS, **_CHUNKS, **_HEADS, **_LINES}

CLOSE = b"connection: close\r\n"
SERVED = {
    "a length": post(CLOSE + LENGTH, BODY),
    "a length with zeros": post(CLOSE + b"content-length: 0014\r\n", BODY),
    "a length with space around it": post(CLOSE + b"content-length:  \t14 \r\n", BODY),
    "a length without space": post(CLOSE + b"content-length:14\r\n", BODY),
    "a length in capitals": post(CLOSE + b"CONTENT-LENGTH: 14\r\n", BODY),
    "empty lines before the request": b"\r\n\r\n" + post(CLOSE + LENGTH, BODY),
    "HTTP/1.0": post(LENGTH, BODY, b"1.0"),
    "HTTP/1.0 without a host": b"POST /v1/completions HTTP/1.0\r\n" + LENGTH + b"\r\n" + BODY,
    "HTTP/1.0 that would stay": post(b"connection: keep-alive\r\n" + LENGTH, BODY, b"1.0"),
    "an absolute target": post(CLOSE + LENGTH, BODY, target=b"http://other.example/v1/completions"),
    "an absolute target with a user": post(CLOSE + LENGTH, BODY, target=b"http://me@other.example:1/v1/completions"),
    "chunks": post(CLOSE + CHUNKED, CHUNKS),
    "chunks in capitals": post(CLOSE + b"Transfer-Encoding: CHUNKED\r\n", b"E\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunks with space around the coding": post(CLOSE + b"transfer-encoding:  chunked \r\n", CHUNKS),
    "sizes with zeros": post(CLOSE + CHUNKED, b"000e\r\n" + BODY + b"\r\n000\r\n\r\n"),
    "an extension": post(CLOSE + CHUNKED, b"E;name=value\r\n" + BODY + b"\r\n0;last\r\n\r\n"),
    "an extension in quotes": post(CLOSE + CHUNKED, b'e;name="a b"\r\n' + BODY + b"\r\n0\r\n\r\n"),
    "single bytes": post(CLOSE + CHUNKED, b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"),
    "trailers": post(CLOSE + CHUNKED, CHUNKS[:-2] + b"x-trailer: a\r\nauthorization: b\r\nhost: c\r\n\r\n"),
    "trailers that were announced": post(
        CLOSE + CHUNKED + b"trailer: x-trailer\r\n", CHUNKS[:-2] + b"x-trailer: a\r\n\r\n"
    ),
    "te": post(b"connection: close, te\r\nte: trailers\r\n" + LENGTH, BODY),
    "a protocol to upgrade to": post(b"connection: upgrade\r\nupgrade: websocket\r\n" + LENGTH, BODY),
    "headers named by connection": post(b"connection: close, x-mine\r\nx-mine: 1\r\n" + LENGTH, BODY),
    "a length named by connection": post(b"connection: close, content-length\r\n" + LENGTH, BODY),
    "keep-alive's own header": post(b"keep-alive: timeout=5\r\nproxy-connection: close\r\n" + CLOSE + LENGTH, BODY),
    "a proxy's credentials": post(b"proxy-authorization: Basic eA==\r\n" + CLOSE + LENGTH, BODY),
    "framing with underscores": post(b"content_length: 3\r\ntransfer_encoding: chunked\r\n" + CLOSE + LENGTH, BODY),
    "two spaces before the version": post(CLOSE + LENGTH, BODY).replace(b" HTTP", b"  HTTP", 1),
    "no space behind colons": post(CLOSE + LENGTH, BODY).replace(b": ", b":"),
}
