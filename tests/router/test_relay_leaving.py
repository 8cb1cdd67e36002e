import asyncio

from router.rig import answers_when, engine, get, long, reads_pages, request, router, short, statuses, writes_forever

EVENT = b'data: {"x":1}\n\n'


async def leave(up, body, after):
    """Send a request and leave when `after` holds."""
    _, writer = await asyncio.open_connection("127.0.0.1", up.port)
    writer.write(request(body))
    await up.until(after)
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_leaves_mid_stream_ends_the_engines_work_at_once():
    async with engine(writes_forever(EVENT)) as decoder, router(decode=[decoder]) as up:
        await leave(up, short(stream=True), lambda: decoder.seen)
        await up.until(lambda: decoder.left == 1)
        await up.until(lambda: any("end=client_left" in line for line in up.lines))


async def test_a_client_that_leaves_before_a_direct_answer_began_ends_the_engines_work_at_once():
    async def silent(seen, reader, writer):
        assert await reader.read() == b""
        raise ConnectionResetError

    async with engine(silent) as decoder, router(decode=[decoder]) as up:
        await leave(up, short(), lambda: decoder.seen)
        await up.until(lambda: decoder.left == 1)


async def test_a_client_that_leaves_during_prefill_has_its_transfer_drained():
    go_on = asyncio.Event()

    async with engine(answers_when(go_on)) as prefiller, engine() as decoder, router([prefiller], [decoder]) as up:
        await leave(up, long(stream=True, max_tokens=100), lambda: prefiller.seen)
        await asyncio.sleep(0.05)
        assert prefiller.left == 0, "a prefill that has begun is never broken off"
        go_on.set()
        await up.until(lambda: decoder.seen)
        drained = decoder.seen[0].json
        assert (drained["max_tokens"], drained["stream"]) == (1, False)
        assert drained["kv_transfer_params"] == {
            "lmcache.tag.p": prefiller.seen[0].json["kv_transfer_params"]["lmcache.tag.p"]
        }
        await up.until(lambda: any("end=drained" in line for line in up.lines))
        assert len(decoder.seen) == 1


async def test_a_client_that_leaves_before_the_first_decoded_byte_lets_the_decoder_read_its_pages_first():
    go_on = asyncio.Event()

    async with (
        engine() as prefiller,
        engine(reads_pages(go_on, EVENT)) as decoder,
        router([prefiller], [decoder]) as up,
    ):
        await leave(up, long(stream=True), lambda: decoder.seen)
        await asyncio.sleep(0.05)
        assert decoder.left == 0
        go_on.set()
        await up.until(lambda: decoder.left == 1)
        assert len(decoder.seen) == 1, "read once, by the leg that was under way"


async def test_no_sender_is_ever_sent_a_prompt_without_a_transfer():
    async with engine() as prefiller, engine() as decoder, router([prefiller], [decoder]) as up:
        bodies = [short(), long(), long(n=2), long(kv_transfer_params={"a": 1}), {"prompt": ["a", "b" * 20000]}]
        for body in bodies:
            assert statuses(await up.post(body)) == [200]
        for path in ("/v1/models", "/health", "/metrics"):
            await up.raw(get(path))
        assert len(prefiller.seen) == 2
        for seen in prefiller.seen:
            assert set(seen.json["kv_transfer_params"]["disagg_spec"]) == {
                "req_id",
                "receiver_host",
                "receiver_init_port",
                "receiver_alloc_port",
            }
