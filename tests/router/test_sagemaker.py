"""A real boto3 client before a real router; behind it engines that follow a script."""

import asyncio
import json

import pytest
from botocore.exceptions import ClientError, EventStreamError, IncompleteReadError, ResponseStreamingError

from dpd_router.config.load import from_document
from dpd_router.errors import ConfigInvalidError
from router.rig import STREAM, chunk, engine, get, long, reads_pages, request, router, short, statuses, writes_forever

NAME = {"endpointName": "chat"}
EVENT = b'data: {"x":1}\n\n'
PLAIN = "/endpoints/chat/invocations"
STREAMED = "/endpoints/chat/invocations-response-stream"


def sse(*events):
    async def script(seen, reader, writer):
        writer.write(STREAM)
        for event in events:
            writer.write(chunk(event))
            await writer.drain()
        writer.write(chunk(b""))

    return script


def refusing(status, body):
    async def script(seen, reader, writer):
        head = b"HTTP/1.1 %d No\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % (status, len(body)) + body)

    return script


async def refused(call):
    with pytest.raises(ClientError) as error:
        await call
    return error.value.response


async def test_an_invocation_is_answered_by_the_endpoints_own_path(boto):
    async def attributed(seen, reader, writer):
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nserver: uvicorn\r\n"
            b"x-amzn-sagemaker-custom-attributes: trace=7\r\ncontent-length: 8\r\n\r\n" + b'{"a": 1}'
        )

    async with engine(attributed) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        answer = await boto.invoke(up, short(), CustomAttributes="trace=7", InferenceId="mine")
        assert await boto.read(answer) == b'{"a": 1}'
        assert (answer["ContentType"], answer["CustomAttributes"]) == ("application/json", "trace=7")
        assert answer["InvokedProductionVariant"] == "AllTraffic"
        assert answer["ResponseMetadata"]["RequestId"]
        assert "server" not in answer["ResponseMetadata"]["HTTPHeaders"]
        (seen,) = decoder.seen
        assert (seen.path, seen.json) == ("/v1/chat/completions", short())


async def test_an_engine_sees_what_is_meant_for_the_model_and_nothing_of_the_signature(boto):
    async with engine() as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        await boto.invoke(up, short(), CustomAttributes="a", SessionId="s1")
        head = decoder.seen[0].head.lower()
        assert b"x-amzn-sagemaker-custom-attributes: a\r\n" in head
        assert b"x-amzn-sagemaker-session-id: s1\r\n" in head
        for name in (b"authorization", b"x-amz-", b"amz-sdk-", b"accept-encoding"):
            assert b"\r\n" + name not in head


async def test_a_streams_accept_reaches_the_engine_under_its_own_name(boto):
    async with engine(sse(EVENT)) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        await boto.stream(up, short(stream=True), Accept="text/event-stream")
        assert b"\r\naccept: text/event-stream\r\n" in decoder.seen[0].head.lower()


async def test_a_key_of_the_engines_own_passes():
    async with engine() as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        await up.post(short(), PLAIN, b"authorization: Bearer engine\r\n")
        assert b"\r\nauthorization: Bearer engine\r\n" in decoder.seen[0].head


async def test_a_stream_comes_as_parts_of_a_payload(boto):
    events = [b'data: {"n":%d}\n\n' % at for at in range(20)]
    async with engine(sse(*events)) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        answer = await boto.stream(up, short(stream=True))
        assert answer["ContentType"] == "text/event-stream"
        assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/vnd.amazon.eventstream"
        assert b"".join(await boto.parts(answer)) == b"".join(events)


async def test_a_long_prompt_goes_through_a_prefiller(boto):
    def noted(up):
        return any(f"path={STREAMED} status=200 route=disaggregated" in line for line in up.lines)

    async with engine() as first, engine(sse(EVENT)) as decoder, router([first], [decoder], sagemaker=NAME) as up:
        answer = await boto.stream(up, long(stream=True))
        assert await boto.parts(answer) == [EVENT]
        assert len(first.seen) == 1
        assert "kv_transfer_params" in decoder.seen[0].json
        await up.until(lambda: noted(up))


async def test_an_answer_that_is_not_streamed_is_a_stream_of_its_pieces_too(boto):
    async with engine() as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        answer = await boto.stream(up, short())
        assert answer["ContentType"] == "application/json"
        assert b"".join(await boto.parts(answer)) == b"{}"


async def test_a_streamed_answer_to_a_plain_invocation_comes_as_it_is(boto):
    async with engine(sse(EVENT, EVENT)) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        answer = await boto.invoke(up, short(stream=True))
        assert await boto.read(answer) == EVENT + EVENT


async def test_parts_come_as_the_engine_writes_them(boto):
    go_on = asyncio.Event()

    async def slow(seen, reader, writer):
        writer.write(STREAM + chunk(EVENT))
        await go_on.wait()
        writer.write(chunk(EVENT) + chunk(b""))

    async with engine(slow) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        parts = iter((await boto.stream(up, short(stream=True)))["Body"])
        assert (await asyncio.to_thread(next, parts))["PayloadPart"]["Bytes"] == EVENT
        go_on.set()
        assert len(await asyncio.to_thread(list, parts)) == 1


async def test_a_connection_serves_the_next_invocation():
    async with engine(sse(EVENT)) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        first, last = request(short(stream=True), STREAMED), request(short(), PLAIN, b"connection: close\r\n")
        assert statuses(await up.raw(first + first + last)) == [200, 200, 200]


@pytest.mark.parametrize("call", ["invoke", "stream"])
async def test_another_endpoints_name_is_a_validation_error(boto, call):
    async with engine() as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        response = await refused(getattr(boto, call)(up, short(), name="other"))
        assert response["Error"] == {
            "Code": "ValidationError",
            "Message": "Endpoint other not found; this router serves chat.",
        }
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert decoder.seen == []


async def test_without_a_name_there_is_no_such_api():
    async with engine() as decoder, router(decode=[decoder]) as up:
        assert statuses(await up.post(short(), PLAIN)) == [404]


async def test_what_is_no_operation_is_a_validation_error():
    async with engine() as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        answer = await up.post(short(), "/endpoints/chat/async-invocations")
        assert statuses(answer) == [400]
        assert b"/endpoints/chat/async-invocations is no operation of this API" in answer
        answer = await up.raw(get(PLAIN))
        assert statuses(answer) == [400]
        assert b"/endpoints/chat/invocations takes POST, not GET." in answer


@pytest.mark.parametrize("call", ["invoke", "stream"])
@pytest.mark.parametrize(("status", "side"), [(400, "client"), (404, "client"), (429, "client"), (500, "server")])
async def test_what_an_engine_refuses_is_a_model_error_with_its_words(boto, call, status, side):
    words = b'{"error":{"message":"max_tokens is too large"}}'
    async with engine(refusing(status, words)) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        response = await refused(getattr(boto, call)(up, short(stream=call == "stream")))
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
        assert response["Error"]["Code"] == "ModelError"
        assert response["Error"]["Message"].startswith(f"Received {side} error ({status}) from primary with message ")
        assert (response["OriginalStatusCode"], response["OriginalMessage"]) == (status, words.decode())


async def test_a_very_long_refusal_is_cut_to_what_the_api_allows(boto):
    async with engine(refusing(400, b"x" * 200_000)) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        response = await refused(boto.invoke(up, short()))
        assert len(response["OriginalMessage"]) == 2048
        assert response["OriginalMessage"].endswith("x" * 2000)
        assert len(response["Error"]["Message"]) == 2048
        assert response["Error"]["Message"].endswith(" for more.")


@pytest.mark.parametrize("call", ["invoke", "stream"])
async def test_a_body_that_is_no_json_is_a_model_error(boto, call):
    async with engine() as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        response = await refused(getattr(boto, call)(up, b"\xff" if call == "invoke" else [1]))
        assert (response["Error"]["Code"], response["OriginalStatusCode"]) == ("ModelError", 400)
        assert json.loads(response["OriginalMessage"])["error"]["code"] == "invalid_json"
        assert decoder.seen == []


async def test_an_engine_that_breaks_off_before_it_answers_is_a_model_error(boto):
    async def dies(seen, reader, writer):
        writer.transport.abort()

    async with engine(dies) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        response = await refused(boto.invoke(up, short()))
        assert (response["Error"]["Code"], response["OriginalStatusCode"]) == ("ModelError", 502)


async def test_an_engine_that_breaks_off_while_it_refuses_is_a_model_error(boto):
    async def dies(seen, reader, writer):
        writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.transport.abort()

    async with engine(dies) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        response = await refused(boto.stream(up, short(stream=True)))
        assert (response["Error"]["Code"], response["OriginalStatusCode"]) == ("ModelError", 502)


async def test_no_worker_is_service_unavailable(boto):
    async with engine() as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        await decoder.close()
        await up.until(lambda: not any(each.up for each in up.router.pool.all()))
        response = await refused(boto.invoke(up, short()))
        assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (
            "ServiceUnavailable",
            503,
        )
        assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "5"


async def test_a_stream_that_breaks_ends_with_a_model_stream_error(boto):
    async def dies(seen, reader, writer):
        writer.write(STREAM + chunk(EVENT) + b"20\r\ndata: hal")
        await writer.drain()
        writer.transport.abort()

    async with engine(dies) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        parts = iter((await boto.stream(up, short(stream=True)))["Body"])
        assert (await asyncio.to_thread(next, parts))["PayloadPart"]["Bytes"] == EVENT
        with pytest.raises(EventStreamError) as error:
            await asyncio.to_thread(list, parts)
        assert error.value.response["Error"]["Code"] == "ModelStreamError"
        assert b'"ErrorCode":"StreamBroken"' in await up.post(short(stream=True), STREAMED)
        await up.until(lambda: any("end=upstream_died" in line for line in up.lines))


async def test_a_plain_answer_that_breaks_never_looks_whole(boto):
    async def dies(seen, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.transport.abort()

    async with engine(dies) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        answer = await boto.invoke(up, short())
        with pytest.raises((IncompleteReadError, ResponseStreamingError)):
            await boto.read(answer)


async def test_a_client_of_http_1_0_gets_events_without_chunks():
    async with engine(sse(EVENT)) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        answer = await up.post(short(stream=True), STREAMED, version=b"1.0")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert EVENT in body
        assert int.from_bytes(body[:4]) == len(body)


async def test_a_client_that_leaves_ends_the_engines_work_at_once(boto):
    async with engine(writes_forever(EVENT)) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        body = (await boto.stream(up, short(stream=True)))["Body"]
        await asyncio.to_thread(next, iter(body))
        body.close()
        await up.until(lambda: decoder.left == 1)
        await up.until(lambda: any("end=client_left" in line for line in up.lines))


async def test_a_client_that_leaves_before_the_first_part_lets_the_decoder_read_its_pages_first():
    go_on = asyncio.Event()

    async with (
        engine() as first,
        engine(reads_pages(go_on, EVENT)) as decoder,
        router([first], [decoder], sagemaker=NAME) as up,
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(request(long(stream=True), STREAMED))
        await up.until(lambda: decoder.seen)
        writer.close()
        await writer.wait_closed()
        go_on.set()
        await up.until(lambda: decoder.left == 1)
        assert len(decoder.seen) == 1


async def test_an_engine_waits_for_a_client_that_does_not_read():
    piece, count = b"x" * 65536, 400
    sent = 0

    async def plenty(seen, reader, writer):
        nonlocal sent
        writer.write(STREAM)
        for _ in range(count):
            writer.write(chunk(piece))
            await writer.drain()
            sent += 1
        writer.write(chunk(b""))

    async with engine(plenty) as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(request(short(stream=True), STREAMED, b"connection: close\r\n"))
        await up.until(lambda: sent > 0)
        before = -1
        while before != sent:  # it stands still when every buffer on the way is full
            before = sent
            await asyncio.sleep(0.1)
        assert sent < count
        body = await reader.read()
        writer.close()
        assert sent == count
        assert body.count(piece[:1024]) >= count


@pytest.mark.patches
async def test_a_mistake_of_the_routers_is_an_internal_failure_in_the_apis_words(monkeypatch):
    async with engine() as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        monkeypatch.setattr(up.router.pool, "flight", None)
        answer = await up.post(short(), PLAIN)
        assert statuses(answer) == [500]
        assert b"x-amzn-errortype: InternalFailure\r\n" in answer
        await up.until(lambda: any("failed in the router" in line for line in up.lines))


async def test_invocations_are_counted_under_their_path(boto):
    async with engine() as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        await boto.invoke(up, short())
        text = (await up.raw(get("/metrics"))).decode()
        assert f'dpd_router_requests_total{{code="200",path="{PLAIN}"}} 1.0' in text


async def test_a_caller_without_a_key_is_denied_in_the_apis_words(boto, tmp_path):
    (tmp_path / "team").write_text("secret-1\n")
    auth = {"keysDirectory": str(tmp_path)}
    async with engine() as decoder, router(decode=[decoder], sagemaker=NAME, auth=auth) as up:
        for name in ("chat", "other"):
            response = await refused(boto.invoke(up, short(), name=name))
            assert response["Error"]["Code"] == "AccessDeniedException"
            assert response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert decoder.seen == []
        assert sum("status=403" in line and "code=invalid_api_key" in line for line in up.lines) == 2


async def test_boto3_brings_a_key_in_a_header_of_its_own(boto, tmp_path):
    (tmp_path / "team").write_text("secret-1\n")
    auth = {"keysDirectory": str(tmp_path)}
    async with engine() as decoder, router(decode=[decoder], sagemaker=NAME, auth=auth) as up:
        client = boto.client(up)
        client.meta.events.register(
            "before-call.sagemaker-runtime", lambda params, **_: params["headers"].update({"x-api-key": "secret-1"})
        )
        answer = await boto.call(client.invoke_endpoint, short())
        assert await boto.read(answer) == b"{}"
        assert b"secret-1" not in decoder.seen[0].head


async def test_a_body_beyond_the_limit_is_refused_before_it_is_known_whom_it_is_for(boto):
    async with engine() as decoder, router(decode=[decoder], sagemaker=NAME, limits={"bodyBytes": 2048}) as up:
        response = await refused(boto.invoke(up, b" " * 4096))
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 413


async def test_the_description_of_the_api_holds_both_operations():
    async with engine() as decoder, router(decode=[decoder], sagemaker=NAME) as up:
        document = json.loads((await up.raw(get("/openapi.json"))).partition(b"\r\n\r\n")[2])
        assert {PLAIN, STREAMED} <= set(document["paths"])
        streamed = document["paths"][STREAMED]["post"]["responses"]
        assert list(streamed["200"]["content"]) == ["application/vnd.amazon.eventstream"]
        assert {"400", "424", "503"} <= set(streamed)


@pytest.mark.parametrize("name", ["", "-chat", "a" * 64, "chat/x", "ch at"])
def test_a_name_that_is_none_is_refused_with_its_remedy(name):
    document = {"endpoint": {"name": "e"}, "pools": {"worker": [{"host": "w"}]}, "sagemaker": {"endpointName": name}}
    with pytest.raises(ConfigInvalidError) as caught:
        from_document(document)
    (problem,) = caught.value.problems
    assert problem.path == "sagemaker.endpointName"


async def test_a_stream_that_the_routers_end_cuts_off_is_told_so(boto):
    async def forever(seen, reader, writer):
        writer.write(STREAM + chunk(EVENT))
        await writer.drain()
        await reader.read()
        raise ConnectionResetError

    short_of_time = {"graceSeconds": 0.2}
    async with engine(forever) as decoder, router(decode=[decoder], sagemaker=NAME, timeouts=short_of_time) as up:
        parts = iter((await boto.stream(up, short(stream=True)))["Body"])
        assert (await asyncio.to_thread(next, parts))["PayloadPart"]["Bytes"] == EVENT
        up.stop.set()
        with pytest.raises(EventStreamError) as error:
            await asyncio.to_thread(list, parts)
        assert error.value.response["Error"]["Code"] == "InternalStreamFailure"
        assert "shutting down" in error.value.response["Error"]["Message"]


async def test_a_stream_whose_engine_falls_silent_ends_with_the_apis_word_for_that():
    async def silent(seen, reader, writer):
        writer.write(STREAM + chunk(EVENT))
        await reader.read()
        raise ConnectionResetError

    impatient = {"streamIdleSeconds": 0.2}
    async with engine(silent) as decoder, router(decode=[decoder], sagemaker=NAME, timeouts=impatient) as up:
        assert b'"ErrorCode":"ModelInvocationTimeExceeded"' in await up.post(short(stream=True), STREAMED)
