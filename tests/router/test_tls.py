import asyncio
import contextlib
import errno
import json
import shutil
import ssl
import subprocess

import pytest
import trustme

from dpd_router.tls import Certificates, Listener
from router.rig import LONG, STREAM, chunk, engine, get, request, router, short, statuses


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def write(folder, authority, *names):
    """Put a certificate for loopback where a mounted Secret would be; returns the router's section."""
    made = authority.issue_cert(*(names or ("localhost", "127.0.0.1")))
    (folder / "tls.crt").write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
    (folder / "tls.key").write_bytes(made.private_key_pem.bytes())
    return section(folder)


def section(folder, **more):
    files = {"certificateFile": str(folder / "tls.crt"), "keyFile": str(folder / "tls.key")}
    return {**files, "reloadSeconds": 0.05, **more}


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@contextlib.asynccontextmanager
async def connected(port, context):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


async def ask(port, context, data):
    async with connected(port, context) as (reader, writer):
        writer.write(data)
        return await reader.read()


async def test_one_port_takes_both_and_the_first_byte_decides(tmp_path, authority):
    async with engine() as decoder, router(decode=[decoder], tls=write(tmp_path, authority)) as up:
        closing = request(short(), headers=b"connection: close\r\n")
        assert statuses(await ask(up.port, trusting(authority), closing)) == [200]
        assert statuses(await up.raw(closing)) == [200]
        assert [seen.json for seen in decoder.seen] == [short(), short()]


async def test_what_is_spoken_inside_tls_is_http_1_1(tmp_path, authority):
    context = trusting(authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with engine() as decoder, router(decode=[decoder], tls=write(tmp_path, authority)) as up:
        async with connected(up.port, context) as (reader, writer):
            assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
            for _ in range(3):
                writer.write(request(short()))
                await reader.readuntil(b"\r\n\r\n{}")
        old = trusting(authority)
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="deprecated"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask(up.port, old, get("/ping"))


async def test_strict_tells_who_speaks_plain_http_to_speak_tls(tmp_path, authority):
    tls = {**write(tmp_path, authority), "mode": "strict"}
    async with engine() as decoder, router(decode=[decoder], tls=tls) as up:
        answer = await up.post(short())
        assert statuses(answer) == [400]
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "tls_required"
        assert statuses(await up.raw(get("/health"))) == [400]
        assert statuses(await ask(up.port, trusting(authority), get("/health"))) == [200]
        assert decoder.seen == []


async def test_disabled_knows_no_tls_even_with_a_certificate(tmp_path, authority):
    tls = {**write(tmp_path, authority), "mode": "disabled"}
    async with engine() as decoder, router(decode=[decoder], tls=tls) as up:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask(up.port, trusting(authority), get("/ping"))
        assert statuses(await up.post(short())) == [200]


@pytest.mark.parametrize(("mode", "why"), [("permissive", None), ("strict", "no certificate")])
async def test_a_certificate_may_come_later(tmp_path, authority, mode, why):
    tls, metrics = section(tmp_path, mode=mode), {"host": "127.0.0.1", "port": 0}
    async with engine() as decoder, router(decode=[decoder], tls=tls, metrics=metrics) as up:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask(up.port, trusting(authority), get("/ping"))
        assert statuses(await up.raw(get("/ping"))) == [200 if why is None else 400]
        told = await up.raw(get("/health"), port=up.router.front.metrics_port)
        assert json.loads(told.partition(b"\r\n\r\n")[2])["why"] == why
        assert any("TLS: there is no certificate: " in line and "mount the Secret there" in line for line in up.lines)
        write(tmp_path, authority)
        await up.until(lambda: up.router.front.certificate)
        assert statuses(await ask(up.port, trusting(authority), get("/ping"))) == [200]
        assert statuses(await up.raw(get("/health"), port=up.router.front.metrics_port)) == [200]


async def test_a_new_certificate_is_used_at_once_and_streams_under_the_old_one_go_on(tmp_path, authority):
    going = asyncio.Event()

    async def stream(seen, reader, writer):
        writer.write(STREAM + chunk(b"data: 1\n\n"))
        await going.wait()
        writer.write(chunk(b"data: 2\n\n") + b"0\r\n\r\n")

    async with engine(stream) as decoder, router(decode=[decoder], tls=write(tmp_path, authority)) as up:
        streaming = connected(up.port, trusting(authority))
        async with streaming as (reader, writer):
            writer.write(request(short(stream=True)))
            await reader.readuntil(b"data: 1\n\n")
            before = up.router.front.certificate
            other = trustme.CA()
            write(tmp_path, other)
            await up.until(lambda: up.router.front.certificate is not before)
            assert statuses(await ask(up.port, trusting(other), get("/ping"))) == [200]
            with pytest.raises(ssl.SSLCertVerificationError):
                await ask(up.port, trusting(authority), get("/ping"))
            going.set()
            assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"data: 2\n\n\r\n0\r\n\r\n")


def test_halves_that_do_not_fit_leave_the_last_certificate_in_use(tmp_path, authority):
    lines: list[str] = []
    write(tmp_path, authority)
    certificates = Certificates(tmp_path / "tls.crt", tmp_path / "tls.key", lines.append, lines.append)
    certificates.reload()
    good, key = certificates.context, (tmp_path / "tls.key").read_bytes()
    for content in (authority.issue_cert("other").private_key_pem.bytes(), b"nonsense", b""):
        (tmp_path / "tls.key").write_bytes(content)
        certificates.reload()
        certificates.reload()
        assert certificates.context is good
    (tmp_path / "tls.key").write_bytes(key)
    certificates.reload()
    assert certificates.context is good
    (tmp_path / "tls.key").unlink()
    certificates.reload()
    assert lines[0] == f"TLS: certificate {tmp_path / 'tls.crt'} is in use"
    assert lines[1].startswith("TLS: the last certificate stays in use: ")
    assert lines[1].endswith(": KEY_VALUES_MISMATCH; mount a pair that fits")
    assert lines[-1].endswith("tls.key: No such file or directory; mount the Secret there")


HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(HELLO + b"\x00" * 600, id="a handshake of zeros"),
        pytest.param(b"\x16" * 5000, id="one byte over and over"),
        pytest.param(b"\x16\x03\x01\xff\xff" + b"a" * 70000, id="a record that is too long"),
        pytest.param(b"\x16GET / HTTP/1.1\r\n\r\n", id="HTTP behind a handshake's byte"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x28", id="an alert"),
        pytest.param(b"\x17\x03\x03\x00\x10" + b"a" * 16, id="data without a handshake"),
        pytest.param(b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", id="SSL 2"),
        pytest.param(b"\x00" * 100, id="zeros"),
        pytest.param(b"\xff" * 100, id="ones"),
    ],
)
async def test_bytes_that_are_neither_end_their_connection_and_nothing_else(tmp_path, authority, data):
    async with engine() as decoder, router(decode=[decoder], tls=write(tmp_path, authority)) as up:
        with contextlib.suppress(ConnectionError):
            answer = await up.raw(data)
            assert statuses(answer) in ([], [400])
        assert statuses(await up.raw(get("/ping"))) == [200]
        assert statuses(await ask(up.port, trusting(authority), get("/ping"))) == [200]
        assert decoder.seen == []
        assert not up.router.doors.inside - {each for each in up.router.doors.inside if each.lingering}


async def test_a_handshake_that_does_not_end_is_ended(tmp_path, authority):
    tls = {**write(tmp_path, authority), "handshakeSeconds": 0.1}
    async with engine() as decoder, router(decode=[decoder], tls=tls) as up:
        with contextlib.suppress(ConnectionError):
            assert await up.raw(HELLO) == b""


async def test_a_client_that_says_nothing_is_let_go(tmp_path, authority):
    tls = write(tmp_path, authority)
    async with engine() as decoder, router(decode=[decoder], tls=tls, timeouts={"idleSeconds": 0.1}) as up:
        assert await up.raw(b"") == b""


async def test_clients_that_leave_before_and_in_the_middle_of_a_handshake_leave_nothing_behind(tmp_path, authority):
    async with engine() as decoder, router(decode=[decoder], tls=write(tmp_path, authority)) as up:
        for data in (b"", b"\x16", HELLO):
            _, writer = await asyncio.open_connection("127.0.0.1", up.port)
            writer.write(data)
            writer.close()
            await writer.wait_closed()
        await up.until(lambda: not up.router.front.unheard)
        assert not up.router.doors.inside


async def test_no_more_connections_come_in_than_there_is_room_for(tmp_path, authority):
    limits = {"connections": 2}
    async with engine() as decoder, router(decode=[decoder], tls=write(tmp_path, authority), limits=limits) as up:
        async with connected(up.port, None), connected(up.port, trusting(authority)):
            await up.until(lambda: up.router.front.unheard and up.router.doors.inside)
            with contextlib.suppress(ConnectionError):
                assert await up.raw(get("/ping")) == b""
        await up.until(lambda: not up.router.doors.inside and not up.router.front.unheard)
        assert statuses(await up.raw(get("/ping"))) == [200]


async def test_a_client_that_is_refused_under_tls_reads_why(tmp_path, authority):
    tls = write(tmp_path, authority)
    async with engine() as decoder, router(decode=[decoder], tls=tls, limits={"bodyBytes": 1024}) as up:
        for data, status in ((request(short(pad="a" * 5000)), 413), (b"nonsense\r\n\r\n", 400)):
            async with connected(up.port, trusting(authority)) as (reader, writer):
                writer.write(data)
                assert statuses(await reader.readuntil(b"}}")) == [status]


async def test_a_long_prompt_and_a_long_answer_pass_through_tls_whole(tmp_path, authority):
    parts = [b"%d" % number + b"x" * 50_000 for number in range(40)]

    async def stream(seen, reader, writer):
        writer.write(STREAM)
        for part in parts:
            writer.write(chunk(part))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async with engine(stream) as decoder, router(decode=[decoder], tls=write(tmp_path, authority)) as up:
        body = {"prompt": LONG * 200, "stream": True}
        answer = await ask(up.port, trusting(authority), request(body, headers=b"connection: close\r\n"))
        assert answer.endswith(b"".join(chunk(part) for part in parts) + b"0\r\n\r\n")
        assert decoder.seen[0].json == body


async def test_an_answer_that_breaks_under_tls_does_not_look_whole(tmp_path, authority):
    async def dies(seen, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()

    async with engine(dies) as decoder, router(decode=[decoder], tls=write(tmp_path, authority)) as up:
        got = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            got = await ask(up.port, trusting(authority), request(short()))
        assert not got.endswith(b"{}")
        assert b"content-length: 100\r\n" in got or not got


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_curl_k_works_for_either_scheme_on_the_same_port(tmp_path, authority, scheme):
    async with engine() as decoder, router(decode=[decoder], tls=write(tmp_path, authority)) as up:
        url = f"{scheme}://127.0.0.1:{up.port}/v1/chat/completions"
        command = [
            "curl",
            "-s",
            "-k",
            "-X",
            "POST",
            url,
            "-H",
            "content-type: application/json",
            "-d",
            json.dumps(short()),
        ]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=20, check=True)
        assert done.stdout == b"{}"


@pytest.mark.parametrize(
    ("tls", "problem"),
    [
        ({"mode": "maybe"}, "tls.mode: 'maybe' is not known here; use one of: permissive, strict, disabled"),
        ({"mode": "strict"}, "tls.certificateFile: required; add a string"),
        (
            {"certificateFile": "a", "keyfile": "b"},
            "tls.keyfile: is not a key of this section; did you mean 'keyFile'?",
        ),
    ],
)
async def test_a_wrong_section_is_told(tls, problem):
    from dpd_router.errors import ConfigInvalidError

    with pytest.raises(ConfigInvalidError) as caught:
        async with router(tls=tls):
            pass
    assert problem in str(caught.value)


class Full:
    """A listening socket of a process that has no descriptor left, for a while."""

    def __init__(self, errors):
        self.errors = errors
        self.closed = False

    def accept(self):
        raise self.errors.pop(0)

    def close(self):
        self.closed = True


class Loop:
    """The readers and timers that a listener asks its loop for."""

    def __init__(self):
        self.readers = []
        self.later = []

    def add_reader(self, sock, _callback, *_):
        self.readers.append(sock)

    def remove_reader(self, sock):
        self.readers.remove(sock)

    def call_later(self, _seconds, callback):
        self.later.append(callback)


async def test_a_process_without_descriptors_left_rests_before_it_accepts_again():
    listener = Listener(asyncio.Protocol, asyncio.Protocol, lambda: None, (1, 1), lambda: 10)
    loop, full = Loop(), Full([OSError(errno.EMFILE, "full"), BlockingIOError(), OSError(errno.EBADF, "broken")])
    listener._loop, listener._socket = loop, full  # type: ignore[assignment]
    loop.readers.append(full)
    listener._accept()
    assert loop.readers == [], "it would be woken without end"
    loop.later.pop()()
    assert loop.readers == [full]
    listener._accept()
    with pytest.raises(OSError, match="broken"):
        listener._accept()
    full.errors = [OSError(errno.EMFILE, "full")]
    listener._accept()
    listener._socket = None
    loop.later.pop()()
    listener._accept()
    assert loop.readers == []


async def test_a_handshake_is_broken_off_when_the_router_stops(tmp_path, authority):
    async with engine() as decoder, router(decode=[decoder], tls=write(tmp_path, authority)) as up:
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        _, silent = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(HELLO)
        await up.until(lambda: up.router.front.unheard == 2)
        up.stop.set()
        await up.task
        assert up.router.front.unheard == 0
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        for each in (writer, silent):
            each.close()
            with contextlib.suppress(ConnectionError):
                await each.wait_closed()


async def test_an_address_of_version_6_is_listened_on_too(tmp_path, authority):
    listen = {"host": "::1"}
    async with engine() as decoder, router(decode=[decoder], tls=write(tmp_path, authority), listen=listen) as up:
        _, writer = await asyncio.open_connection("::1", up.port)
        writer.close()
        await writer.wait_closed()
