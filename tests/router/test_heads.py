"""A head that came before is read without the parser: what is made of it is what the parser makes of it, every time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpd_router.api import Routes
from dpd_router.auth import Gate, Rate
from dpd_router.auth.gate import SMALL_BODY, Rates
from dpd_router.auth.keys import keyring
from dpd_router.wire.heads import MOST_HEADS, Heads
from dpd_router.wire.reader import LESSONS, Limits, RequestReader
from router.reading import BODY, HOST, LIMITS, LINE, Reading, alike, post

HEADS = st.fixed_dictionaries(
    {
        "name": st.sampled_from([b"content-length", b"Content-Length"]),
        "before": st.sampled_from([b"", b"x-request-id: mine\r\n", b"x-a: 1\r\nconnection: keep-alive, x-a\r\n"]),
        "behind": st.sampled_from([b"", b"", b"connection: close\r\n", b"x-b: \xe4\r\n", b"expect: 100-continue\r\n"]),
        "line": st.sampled_from([LINE, LINE, b"POST / HTTP/1.0\r\n", b"PUT /a HTTP/1.1\r\n"]),
    }
)
SPELLINGS = [
    b"%d",
    b"%d",
    b"%d",
    b"0%d",
    b"+%d",
    b"-%d",
    b" %d",
    b"%d ",
    b"%d\t",
    b"0x%d",
    b"%d, 1",
    b"00000000%d",
    b"1%d",
]


@st.composite
def streams(draw):
    """Requests of few heads, most of them well-formed, and the pieces in which they come: mostly one by one."""
    known = draw(st.lists(HEADS, min_size=1, max_size=2))
    sent = []
    for _ in range(draw(st.integers(2, 7))):
        body = draw(st.one_of(st.just(BODY), st.binary(max_size=320), st.sampled_from([b"", post(), b"\r\n"])))
        length = draw(st.sampled_from(SPELLINGS)) % max(0, len(body) + draw(st.sampled_from([0] * 9 + [1, -1, 400])))
        sent.append(post(body, length, **draw(st.sampled_from(known))))
    pieces = []
    for data in sent:
        how = draw(st.sampled_from(["whole"] * 4 + ["cut", "joined", "ended"]))
        if how == "cut":
            at = draw(st.integers(0, len(data)))
            pieces += [data[:at], data[at:]]
        elif how == "joined" and pieces:
            pieces[-1] += data
        else:
            pieces.append(data + (b"\r\n" if how == "ended" else b""))
    return [piece for piece in pieces if piece]


KINDS = st.lists(st.sampled_from(["in", "in", "in", "small", "out", "other"]), max_size=8)


@settings(max_examples=600, deadline=None)
@given(streams(), KINDS, st.one_of(st.none(), st.integers(0, 700)))
def test_a_reader_that_knows_heads_reads_what_one_reads_that_knows_none(pieces, admissions, most):
    alike(pieces, admissions=admissions, most=most)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 200), st.binary(min_size=1, max_size=3), st.integers(0, 2))
def test_a_known_head_that_is_damaged_is_what_the_parser_takes_it_for(at, damage, lost):
    data = post()
    at %= len(data)
    alike([data, data, data[:at] + damage + data[at + lost :], data])


def test_a_head_that_came_before_is_known_whatever_its_body():
    bodies = [BODY, b"{}", b"", b"x" * 300, BODY]
    made = alike([post(body) for body in bodies])
    assert made.known == len(bodies) - 1
    assert [ask.body for ask, *_ in made.requests] == bodies
    assert {(ask.method, ask.path, ask.query) for ask, *_ in made.requests} == {("POST", "/v1/completions", "?a=b")}
    assert len({ask.request_id for ask, *_ in made.requests}) == len(bodies)


NEVER_KNOWN = {
    "another method": post(line=b"PUT /v1/completions HTTP/1.1\r\n"),
    "an older client": post(line=b"POST / HTTP/1.0\r\n"),
    "a last request": post(behind=b"connection: close\r\n"),
    "chunks": LINE + HOST + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "no length": LINE + HOST + b"\r\n",
    "a question": post(behind=b"expect: 100-continue\r\n"),
    "an upgrade": post(behind=b"upgrade: h2c\r\nconnection: upgrade\r\n"),
    "a long head": post(behind=b"x-a: " + b"a" * 2000 + b"\r\n"),
    "two requests": post() + post(),
    "a request and a part": post() + post()[:50],
}


@pytest.mark.parametrize("data", NEVER_KNOWN.values(), ids=NEVER_KNOWN)
def test_what_belongs_to_one_message_is_not_remembered(data):
    made = alike([data] * 4, limits=Limits(head_bytes=4096, body_bytes=300))
    assert made.known == 0


INNER = post(b'{"prompt":"inner"}')
ATTEMPTS = {
    "a body that holds a request": post(INNER),
    "a body that ends in part of a request": post(BODY + INNER[:40]),
    "a length that ends before a request in the body": post(INNER, b"0"),
    "a length that ends within the body": post(INNER, b"14"),
    "a body longer than told": post(BODY, b"13"),
    "a body shorter than told": post(BODY, b"15"),
    "two requests": post() + post(),
    "a request and a part": post() + post()[:30],
    "a request and a broken one": post() + b"nonsense\r\n\r\n",
    "a request and a line": post() + b"\r\n",
    "a line and a request": b"\r\n" + post(),
    "a line feed and a request": b"\n" + post(),
    "a signed length": post(length=b"+14"),
    "a negative length": post(length=b"-14"),
    "noughts before": post(length=b"014"),
    "many noughts before": post(length=b"000000000000014"),
    "space before": post(length=b"  14"),
    "space behind": post(length=b"14 "),
    "a tab behind": post(length=b"14\t"),
    "too many digits": post(length=b"99999999999999999999"),
    "an underscore": post(length=b"1_4"),
    "other digits": post(length="\u0661\u0664".encode()),
    "a superscript": post(length=b"\xb2"),
    "no length": post(length=b""),
    "two numbers": post(length=b"14, 14"),
    "a length and a header": post(length=b"14\r\ntransfer-encoding: chunked"),
    "a length and a second one": post(length=b"14\r\ncontent-length: 3"),
    "a length and a line feed": post(length=b"14\nx: y"),
    "a folded length": post(length=b"\r\n 14"),
    "a carriage return alone": post().replace(b": 14\r\n", b": 14\r"),
    "the length in capitals": post(name=b"CONTENT-LENGTH"),
    "the path in capitals": post(line=b"POST /V1/completions?a=b HTTP/1.1\r\n"),
    "another query": post(line=b"POST /v1/completions?a=c HTTP/1.1\r\n"),
    "another method of as many letters": post(line=b"PUTT /v1/completions?a=b HTTP/1.1\r\n"),
    "HTTP/1.0": post(line=b"POST /v1/completions?a=b HTTP/1.0\r\n"),
    "another host": post().replace(b"host: r", b"host: s"),
    "no host": post().replace(HOST, b""),
    "one header more": post(behind=b"x-a: 1\r\n"),
    "a last request": post(behind=b"connection: close\r\n"),
    "the head alone": post(b"", b"14"),
    "a part of the head": post()[:40],
    "all but the last byte": post()[:-1],
    "a body beyond the limit": post(b"x" * 301),
    "a body at the limit": post(b"x" * 300),
}


@pytest.mark.parametrize("behind", [post(b"{}"), BODY, b"x"], ids=["a request", "a body", "a byte"])
@pytest.mark.parametrize("data", ATTEMPTS.values(), ids=ATTEMPTS)
def test_bytes_that_look_like_a_known_head_are_what_the_parser_takes_them_for(data, behind):
    made = alike([post(), post(b"{}"), data, behind, post()])
    assert made.known


def test_a_body_at_the_limit_of_all_bodies_is_taken_and_one_beyond_it_is_refused():
    one = Reading(learns=True, most=40)
    for body in (BODY, BODY, b"x" * 12):
        one.feed(post(body), gives=False)
    assert (one.held.now, one.known, one.reader.error) == (40, 2, None)
    one.feed(post(b"x"), gives=False)
    assert one.reader.error is not None
    assert (one.reader.error.status, one.reader.error.code, one.held.refused) == (503, "too_many_bytes", 1)
    assert one.held.now == 40


def guarded(ring, rates, limits=LIMITS):
    keys = {"now": keyring(ring)}
    gate = Gate(Routes("/v1/chat/completions"), lambda: keys["now"], lambda: 0.0, Rates(rates, {}))
    return keys, Reading(learns=True, limits=limits, admit=gate.admit)


def test_a_key_is_looked_at_every_time_and_one_that_was_withdrawn_is_refused_whoever_sent_it_before():
    keys, made = guarded({"team": "k"}, None)
    asks = post(before=b"authorization: Bearer k\r\n")
    for ring in ({"team": "k"}, {"team": "k"}, {"other": "k"}, {"team": "new"}, {"team": "k"}):
        keys["now"] = keyring(ring)
        made.feed(asks)
    told = [(ask.caller, ask.body, refusal and refusal[0]) for ask, _, _, refusal in made.requests]
    assert told == [("team", BODY, None)] * 2 + [("other", BODY, None), ("", b"", 401), ("team", BODY, None)]
    assert all(b"authorization" not in dict(ask.headers) for ask, _, _, refusal in made.requests if not refusal)
    assert (made.known, made.held.now) == (4, 0)


def test_every_request_of_a_known_head_counts_against_its_keys_rate():
    _, made = guarded({"team": "k"}, Rate(60, 2))
    for _ in range(4):
        made.feed(post(before=b"x-api-key: k\r\n"))
    assert [refusal and refusal[0] for *_, refusal in made.requests] == [None, None, 429, 429]
    assert made.known == 3


def test_a_long_body_of_a_key_that_was_withdrawn_ends_the_connection_unread():
    keys, made = guarded({"team": "k"}, None, Limits())
    asks = b"authorization: Bearer k\r\n"
    made.feed(post(before=asks))
    keys["now"] = keyring({})
    made.feed(post(b"x" * (SMALL_BODY + 1), before=asks))
    assert made.reader.error is not None
    assert (made.reader.error.status, made.held.now, len(made.requests)) == (401, 0, 1)


def test_what_is_remembered_is_bounded_for_all_connections():
    heads = Heads()

    def learn(number):
        data = post(line=b"POST /%d HTTP/1.1\r\n" % number)
        known = heads.learn(data, f"/{number}", "", [(b"x-a", b"1")], BODY, None)
        assert known is not None
        assert known.body(data) == BODY
        return known

    first = learn(0)
    assert learn(0) is first
    for number in range(1, MOST_HEADS + 1):
        learn(number)
    assert learn(0) is not first


def test_what_is_remembered_is_bounded_for_each_connection():
    made = Reading(learns=True)
    for number in range(2 * LESSONS):
        made.feed(post(line=b"POST /%d HTTP/1.1\r\n" % number))
    made.feed(post(line=b"POST /%d HTTP/1.1\r\n" % (2 * LESSONS - 1)))
    assert made.known == 0, "a client whose heads all differ is no longer learned from"


def test_connections_that_send_the_same_head_have_one_memory_of_it():
    heads, found = Heads(), []
    for _ in range(2):
        reader = RequestReader(LIMITS, lambda: "made", heads=heads)
        for _ in range(2):
            found += [each.known for each in reader.feed(post()) if each.known]
    assert found[0] is found[1]
