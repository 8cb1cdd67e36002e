import asyncio
import json
from hashlib import sha256

import pytest

from dpd_router.api import Routes
from dpd_router.auth import Gate, Keyring, KeyStore, Rate
from dpd_router.auth.bucket import Bucket
from dpd_router.auth.gate import SMALL_BODY, Rates
from dpd_router.auth.keys import KeyInvalidError, keyring
from router.rig import OK, engine, get, request, router, short, statuses

TEXT = "# the team's\nsecret-1\n\n  secret-2  \n"


@pytest.mark.parametrize(
    ("presented", "name"),
    [
        (b"secret-1", "team"),
        (b"secret-2", "team"),
        (b"other", "batch"),
        (b"hashed", "hashed"),
        (b"", None),
        (b"secret", None),
        (b"secret-1 ", None),
        (b"# the team's", None),
        (sha256(b"hashed").hexdigest().encode(), None),
        (b"\xff\x00", None),
    ],
)
def test_a_key_is_known_by_the_name_of_its_file(presented, name):
    ring = keyring({"team": TEXT, "batch": "other\r\n", "hashed": "sha256:" + sha256(b"hashed").hexdigest()})
    assert ring.name_of(presented) == name
    assert ring.names == ("batch", "hashed", "team")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a\nsecr\u00e9t", "k, line 2: holds what no header can carry; use printable ASCII"),
        ("two words", "k, line 1: holds what no header can carry; use printable ASCII"),
        ("sha256:abc", "k, line 1: is no SHA-256 digest; write 64 hexadecimal digits after sha256:"),
        ("sha256:" + "zz" * 32, "k, line 1: is no SHA-256 digest; write 64 hexadecimal digits after sha256:"),
    ],
)
def test_what_cannot_be_a_key_is_told_without_telling_it(text, problem):
    with pytest.raises(KeyInvalidError) as caught:
        keyring({"k": text})
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("times", "waits"),
    [
        ([0, 0, 0, 0], [0, 0, 30, 30]),
        ([0, 0, 30, 30], [0, 0, 0, 30]),
        ([0, 0, 29, 30], [0, 0, 1, 0]),
        ([0, 1000, 1000, 1000], [0, 0, 0, 30]),
    ],
)
def test_a_bucket_of_two_a_minute_gives_two_at_once_and_one_every_thirty_seconds(times, waits):
    bucket = Bucket(Rate(2, 2), 0)
    assert [bucket.take(at) for at in times] == waits


def gate(ring=None, forward=False, common=None, **own):
    keys = None if ring is None else lambda: ring
    return Gate(
        Routes("/v1/chat/completions", sagemaker="mine"), keys, lambda: 0.0, Rates(common, own), forward=forward
    )


RING = keyring({"team": "k"})
BEARER = (b"Authorization", b"Bearer k")
HEADER = (b"X-API-Key", b"k")
OTHER = (b"authorization", b"Bearer engine")
CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("made", "path", "headers", "caller", "kept", "status"),
    [
        (gate(), CHAT, [BEARER], "", [BEARER], None),
        (gate(RING), CHAT, [BEARER], "team", [], None),
        (gate(RING), CHAT, [(b"authorization", b"bEaReR   k ")], "team", [], None),
        (gate(RING), CHAT, [HEADER], "team", [], None),
        (gate(RING, forward=True), CHAT, [HEADER], "team", [HEADER], None),
        (gate(RING), CHAT, [OTHER, HEADER], "team", [OTHER], None),
        (gate(RING), CHAT, [OTHER], "", [OTHER], 401),
        (gate(RING), CHAT, [(b"authorization", b"Basic k")], "", [(b"authorization", b"Basic k")], 401),
        (gate(RING), CHAT, [], "", [], 401),
        (gate(Keyring()), CHAT, [BEARER], "", [BEARER], 401),
        (gate(RING), "/v1/models", [], "", [], 401),
        (gate(RING), "/health", [], "", [], None),
        (gate(RING), "/ping", [BEARER], "", [BEARER], None),
        (gate(RING), "/metrics", [], "", [], None),
        (gate(RING), "/openapi.json", [], "", [], None),
        (gate(RING), "/nowhere", [], "", [], None),
        (gate(RING, common=Rate(60, 0)), CHAT, [BEARER], "team", [BEARER], 429),
        (gate(RING, common=Rate(60, 0), team=Rate(60, 1)), CHAT, [BEARER], "team", [], None),
    ],
)
def test_a_head_alone_decides_who_comes_in(made, path, headers, caller, kept, status):
    found = made.admit(path, headers)
    refused = found.refusal and found.refusal.status
    assert (found.caller, found.headers, refused) == (caller, kept, status)


@pytest.mark.parametrize(
    ("made", "path", "most"),
    [
        (gate(), CHAT, None),
        (gate(), "/tokenize", None),
        (gate(), "/endpoints/mine/invocations", None),
        (gate(), "/endpoints/mine/invocations-response-stream", None),
        (gate(), "/endpoints/other/invocations", SMALL_BODY),
        (gate(), "/health", SMALL_BODY),
        (gate(), "/nowhere", SMALL_BODY),
        (gate(RING), CHAT, SMALL_BODY),
    ],
)
def test_only_who_may_send_a_long_body_may_send_one(made, path, most):
    assert made.admit(path, []).body_bytes == most


def test_no_comparison_is_left_out_once_a_key_was_found(monkeypatch):
    compared = []

    def compare(one, other):
        compared.append(one)
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert keyring({"a": "1\n2\n3"}).name_of(b"1") == "a"
    assert len(compared) == 3


class Lines(list):
    def store(self, folder):
        return KeyStore(folder, self.append, self.append)


def test_a_folder_that_changes_is_in_force_when_it_is_read_again(tmp_path):
    lines = Lines()
    store = lines.store(tmp_path)
    store.reload()
    assert store.keyring.name_of(b"k") is None
    (tmp_path / "team").write_text("k\n")
    store.reload()
    store.reload()
    assert store.keyring.name_of(b"k") == "team"
    (tmp_path / "team").unlink()
    store.reload()
    assert store.keyring.name_of(b"k") is None, "a key that was taken away opens nothing"
    empty = f"API keys: {tmp_path} holds none; every request is refused until it does"
    assert lines == [empty, "API keys: 1 under 1 names", empty]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a b", "API keys stay as they are: team, line 1: holds what no header can carry; use printable ASCII"),
        (b"\xff", "API keys stay as they are: {folder}: a key is not text; write UTF-8"),
        (None, "API keys stay as they are: {folder}: No such file or directory; mount the Secret there"),
    ],
)
def test_keys_that_cannot_be_read_leave_the_last_ones_in_force_and_are_told_once(tmp_path, content, line):
    folder, lines = tmp_path / "keys", Lines()
    folder.mkdir()
    (folder / "team").write_text("k")
    store = lines.store(folder)
    store.reload()
    (folder / "team").write_bytes(content or b"")
    if content is None:
        (folder / "team").unlink()
        folder.rmdir()
    store.reload()
    store.reload()
    assert store.keyring.name_of(b"k") == "team"
    assert lines[1:] == [line.format(folder=folder)]


def secret(folder, version, **keys):
    """Write a Secret as Kubernetes mounts one: files behind one symbolic link that is swapped."""
    data = folder / f"..{version}"
    data.mkdir()
    for name, key in keys.items():
        (data / name).write_text(key)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    fresh = folder / "..data_tmp"
    fresh.symlink_to(data.name)
    fresh.rename(folder / "..data")


def bearer(key):
    return b"authorization: Bearer %b\r\n" % key.encode()


async def test_a_mounted_secret_that_is_swapped_opens_and_shuts_without_a_restart(tmp_path):
    secret(tmp_path, 1, team="old")
    sections = {"auth": {"keysDirectory": str(tmp_path), "reloadSeconds": 0.05}}
    async with engine() as decoder, router(decode=[decoder], **sections) as up:
        assert statuses(await up.post(short(), headers=bearer("old"))) == [200]
        assert statuses(await up.post(short(), headers=bearer("new"))) == [401]
        secret(tmp_path, 2, team="new")
        await up.until(lambda: (up.router.front.keys or KeyStore(tmp_path, print, print)).keyring.name_of(b"new"))
        assert statuses(await up.post(short(), headers=bearer("new"))) == [200]
        assert statuses(await up.post(short(), headers=bearer("old"))) == [401]


async def test_without_a_key_nothing_but_the_router_s_own_answers_is_had(tmp_path):
    (tmp_path / "team").write_text("k")
    async with engine() as decoder, router(decode=[decoder], auth={"keysDirectory": str(tmp_path)}) as up:
        for row in Routes(CHAT):
            answer = await up.raw(request(short(), row.path, b"connection: close\r\n") if row.schema else get(row.path))
            assert statuses(answer) == [200 if row.open else 401], row.path
        assert decoder.seen == []
        answer = await up.post(short())
        assert b"www-authenticate: Bearer" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == {
            "message": "The request holds no API key; send it as Authorization: Bearer KEY, or as x-api-key: KEY.",
            "type": "authentication_error",
            "param": None,
            "code": "invalid_api_key",
        }


async def test_a_key_that_was_recognised_goes_no_further_and_is_counted_by_its_name(tmp_path):
    (tmp_path / "team").write_text("k-secret")
    async with engine() as decoder, router(decode=[decoder], auth={"keysDirectory": str(tmp_path)}) as up:
        more = b"traceparent: 00-1\r\nauthorization: Bearer engine\r\n"
        assert statuses(await up.post(short(), headers=b"x-api-key: k-secret\r\n" + more)) == [200]
        head = decoder.seen[0].head
        assert b"k-secret" not in head
        assert b"authorization: Bearer engine\r\n" in head
        assert b"traceparent: 00-1\r\n" in head
        assert b'dpd_router_key_requests_total{code="200",key="team"} 1.0' in await up.raw(get("/metrics"))
        assert not any("k-secret" in line for line in up.lines)


async def test_a_key_that_is_sent_twice_goes_no_further_either(tmp_path):
    (tmp_path / "team").write_text("k-secret")
    async with engine() as decoder, router(decode=[decoder], auth={"keysDirectory": str(tmp_path)}) as up:
        for again in (b"x-api-key: k-secret\r\n", bearer("k-secret")):
            await up.post(short(), headers=bearer("k-secret") + again)
            assert b"k-secret" not in decoder.seen[-1].head


async def test_a_key_may_be_forwarded_when_engines_ask_for_it_too(tmp_path):
    (tmp_path / "team").write_text("k")
    auth = {"keysDirectory": str(tmp_path), "forward": True}
    async with engine() as decoder, router(decode=[decoder], auth=auth) as up:
        await up.post(short(), headers=bearer("k"))
        assert bearer("k") in decoder.seen[0].head


async def test_a_rate_that_is_used_up_is_told_with_the_time_until_it_is_not(tmp_path):
    for name in ("slow", "fast"):
        (tmp_path / name).write_text(name)
    auth = {
        "keysDirectory": str(tmp_path),
        "rateLimit": {"requestsPerMinute": 1, "burst": 2},
        "rateLimits": {"fast": {"requestsPerMinute": 1000}},
    }
    async with engine() as decoder, router(decode=[decoder], auth=auth) as up:
        last = request(short(), headers=bearer("slow") + b"connection: close\r\n")
        answer = await up.raw(2 * request(short(), headers=bearer("slow")) + last)
        assert statuses(answer) == [200, 200, 429], "the connection is kept over a refusal"
        assert b"retry-after: 60\r\n" in answer
        assert b'"code":"rate_limit_exceeded"' in answer
        for _ in range(5):
            assert statuses(await up.post(short(), headers=bearer("fast"))) == [200]


async def test_a_refused_client_does_not_get_to_send_its_body(tmp_path):
    (tmp_path / "team").write_text("k")
    async with engine() as decoder, router(decode=[decoder], auth={"keysDirectory": str(tmp_path)}) as up:
        big = b"POST /v1/completions HTTP/1.1\r\nhost: r\r\n"
        assert statuses(await up.raw(big + b"content-length: 60000000\r\n\r\n")) == [401]
        waiting = b"expect: 100-continue\r\ncontent-length: 10\r\n\r\n"
        assert statuses(await up.raw(big + waiting)) == [401], "no 100 Continue comes before the refusal"
        chunks = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
        assert statuses(await up.raw(big + b"transfer-encoding: chunked\r\n\r\n" + chunks * 3)) == [401]
        small = request(b"x" * 1000) + get("/ping")
        assert statuses(await up.raw(small)) == [401, 200], "a small body is let go, and the connection kept"
        assert statuses(await up.raw(get("/ping", b"content-length: 70000\r\n"))) == [413]


@pytest.mark.parametrize(
    ("auth", "problem"),
    [
        ({}, "auth.keysDirectory: required; add a string"),
        ({"keysDirectory": "/nowhere"}, "auth.keysDirectory: /nowhere is no folder; mount the Secret with the keys"),
        ({"keysDirectory": "/", "forward": "yes"}, "auth.forward: 'yes' is neither true nor false; write true or"),
        (
            {"keysDirectory": "/", "rateLimit": {"requestsPerMinute": 0}},
            "auth.rateLimit.requestsPerMinute: 0 is no whole number from 1 to 1000000000; write such a number",
        ),
        ({"keysDirectory": "/", "rateLimits": {1: {}}}, "auth.rateLimits.1: is no text; quote the name"),
        (
            {"keysDirectory": "/", "rateLimits": {"a": {"perMinute": 1}}},
            "auth.rateLimits.a.requestsPerMinute: required",
        ),
    ],
)
async def test_a_wrong_section_is_told(auth, problem):
    from dpd_router.errors import ConfigInvalidError

    async with engine() as decoder:
        with pytest.raises(ConfigInvalidError) as caught:
            async with router(decode=[decoder], auth=auth):
                pass
        assert problem in str(caught.value)


async def test_many_clients_at_once_each_get_their_own_answer(tmp_path):
    (tmp_path / "team").write_text("k")
    async with engine() as decoder, router(decode=[decoder], auth={"keysDirectory": str(tmp_path)}) as up:
        keys = ["k", "x"] * 10
        answers = await asyncio.gather(*(up.post(short(), headers=bearer(key)) for key in keys))
        assert [statuses(each)[0] for each in answers] == [200, 401] * 10
        assert all(each.endswith(OK[-2:]) for each in answers[::2])
