import pytest

from dpd_router.stages.session import session
from dpd_router.types import Request, SessionKeys

ALL = SessionKeys("x-session-id", True, "sid")
HEADERS = [(b"Host", b"h"), (b"X-Session-Id", b" abc "), (b"Cookie", b'a=1; sid="from-cookie"; b=2')]


def named(headers=(), keys=ALL, **body):
    return session(Request("/", headers, body, b"", False, False, "r"), keys)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (named(HEADERS, user="ada"), "abc"),
        (named(HEADERS[2:], user="ada"), "ada"),
        (named(HEADERS[2:]), "from-cookie"),
        (named(HEADERS[:1]), ""),
        (named(HEADERS, SessionKeys("", True, "")), ""),
        (named(HEADERS, SessionKeys("", False, ""), user="ada"), ""),
        (named(HEADERS, SessionKeys("host", False, "")), "h"),
        (named(HEADERS, SessionKeys("", False, "b")), "2"),
        (named(HEADERS, SessionKeys("", False, "c")), ""),
        (named([], ALL, user=5), ""),
        (named([], ALL, user=["ada"]), ""),
        (named([(b"x-session-id", "ü".encode())]), "Ã¼"),
        (named([(b"x-session-id", b"a" * 5000)]), "a" * 1024),
    ],
)
def test_a_header_comes_before_the_user_and_the_user_before_a_cookie(name, expected):
    assert name == expected
