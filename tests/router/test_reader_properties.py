import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from dpd_router.wire.reader import Limits, RequestReader

LIMITS = Limits(head_bytes=2048, body_bytes=4096)
TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).map(lambda text: "x-" + text)
VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)
BODY = st.binary(max_size=300)


def reader():
    return RequestReader(LIMITS, lambda: "made")


@st.composite
def requests(draw):
    """One well-formed request and what is in it."""
    body = draw(BODY)
    headers = [(name.encode(), value.encode()) for name, value in draw(st.lists(st.tuples(TOKEN, VALUE), max_size=4))]
    lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    start = b"POST /v1/completions HTTP/1.1\r\nhost: r\r\n" + lines
    if draw(st.booleans()):
        return start + b"content-length: %d\r\n\r\n%b" % (len(body), body), body, headers
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=4)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True) if a < b]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return start + b"transfer-encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n", body, headers


def split(data, cuts):
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@settings(max_examples=150, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=4), st.lists(st.integers(0, 10**6), max_size=12))
def test_requests_are_the_same_however_their_bytes_arrive(sent, cuts):
    made, got = reader(), []
    for piece in split(b"".join(data for data, _, _ in sent), cuts):
        got += made.feed(piece)
    assert made.error is None
    assert not made.busy
    assert [each.ask.body for each in got] == [body for _, body, _ in sent]
    for each, (_, _, headers) in zip(got, sent, strict=True):
        assert [pair for pair in each.ask.headers if pair[0].startswith(b"x-")] == headers


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=6))
def test_any_bytes_make_requests_or_a_mistake_of_the_clients_and_nothing_else(pieces):
    made = reader()
    for piece in pieces:
        made.feed(piece)
    assert made.error is None or 400 <= made.error.status < 500


@settings(max_examples=200, deadline=None)
@given(requests(), st.integers(0, 10**6), st.binary(min_size=1, max_size=4))
def test_a_damaged_request_is_a_mistake_of_the_clients_or_still_a_request(sent, at, damage):
    data, _, _ = sent
    at %= len(data)
    made = reader()
    made.feed(data[:at] + damage + data[at:])
    assert made.error is None or 400 <= made.error.status < 500


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 700))
def test_a_head_never_grows_beyond_its_limit_however_slowly_it_comes(length, step):
    made = reader()
    data = b"GET / HTTP/1.1\r\nhost: r\r\nx: " + b"a" * length
    for start in range(0, len(data), step):
        made.feed(data[start : start + step])
    assert (made.error is not None) == (len(data) > LIMITS.head_bytes)
    if made.error is not None:
        assert made.error.status == 431
