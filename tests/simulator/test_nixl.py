import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from dpd_sim.settings import SettingsError
from simulator.engines import Sim, chat, settled, sim, transfer_flag
from support.ports import free_ports

ASK = {
    "do_remote_decode": True,
    "do_remote_prefill": False,
    "remote_engine_id": None,
    "remote_block_ids": None,
    "remote_host": None,
    "remote_port": None,
}


@dataclass(frozen=True, slots=True)
class Nixl:
    prefiller: Sim
    decoder: Sim

    async def prefill(self, body: Mapping[str, Any], **changes: Any) -> Any:
        return (await self.prefiller.answer({**body, "max_tokens": 1, "kv_transfer_params": ASK, **changes}))[
            "kv_transfer_params"
        ]

    async def leased(self) -> int:
        state = await self.prefiller.state()
        return int(state["blocks_total"] - state["blocks_free"])


@contextlib.asynccontextmanager
async def nixl(
    policy: str = "recompute", decoder_args: tuple[str, ...] = ("-tp", "2"), **env: str
) -> AsyncIterator[Nixl]:
    ports = [str(port) for port in free_ports(2)]
    side = [{**env, "VLLM_NIXL_SIDE_CHANNEL_HOST": "127.0.0.1", "VLLM_NIXL_SIDE_CHANNEL_PORT": port} for port in ports]
    flag = transfer_flag("kv_both", "NixlConnector", policy)
    async with (
        sim("--no-enable-prefix-caching", *flag, env=side[0]) as prefiller,
        sim(*decoder_args, *flag, env=side[1]) as decoder,
    ):
        yield Nixl(prefiller, decoder)


async def test_a_decoder_of_another_size_reads_all_but_the_last_token_and_frees_the_prefillers_blocks() -> None:
    async with nixl() as n:
        body = chat(100)
        expected = await n.prefiller.text(body)
        params = await n.prefill(body)
        assert params["do_remote_prefill"] is True
        assert (len(params["remote_block_ids"]), params["tp_size"]) == (65, 1)
        assert await n.leased() == 65
        assert await n.decoder.text({**body, "kv_transfer_params": params}) == expected
        await settled(lambda: _leases(n, 0))
        source = 'vllm:prompt_tokens_by_source_total{model_name="m",engine="0",source="external_kv_transfer"'
        assert await n.decoder.metric(source) == 1034
        assert await n.decoder.metric("vllm:nixl_xfer_time_seconds_count") == 1
        assert await n.decoder.metric("vllm:nixl_bytes_transferred_sum") == 65 * 16 * 256 * 2
        assert n.decoder.grep("KV Transfer metrics:")


async def _leases(n: Nixl, blocks: int) -> bool:
    return await n.leased() == blocks


@pytest.mark.parametrize("ending", [{"stop": "."}, {"stop_token_ids": "all"}])
async def test_a_prefill_that_ended_by_a_stop_leases_nothing(ending: dict[str, Any]) -> None:
    async with nixl() as n:
        body = chat(3, return_token_ids=True)
        first = (await n.prefiller.answer({**body, "max_tokens": 1}))["choices"][0]
        stop = (
            {"stop_token_ids": first["token_ids"]}
            if "stop_token_ids" in ending
            else {"stop": first["message"]["content"]}
        )
        assert await n.prefill(chat(3), **stop) is None
        assert await n.leased() == 0


async def test_blocks_nobody_reads_are_freed_when_their_time_is_over_and_a_late_reader_gets_garbage() -> None:
    async with nixl(VLLM_NIXL_ABORT_REQUEST_TIMEOUT="40") as n:
        body = chat(100)
        expected = await n.prefiller.text(body)
        params = await n.prefill(body)
        await asyncio.sleep(0.3)
        await n.prefiller.text(chat(1))
        assert await n.leased() == 0
        assert await n.prefiller.metric("vllm:nixl_num_kv_expired_reqs_total") == 1
        assert await n.decoder.text({**body, "kv_transfer_params": params}) != expected
        assert await n.decoder.metric("dpd_sim:garbage_reads_total") == 1


@pytest.mark.parametrize(("policy", "status", "health"), [("recompute", 200, 200), ("fail", 500, 503)])
async def test_a_prefiller_that_is_gone_is_survived_only_under_recompute(policy: str, status: int, health: int) -> None:
    async with nixl(policy) as n:
        body = chat(100)
        expected = await n.decoder.text(chat(100, salt="warm")) and await n.prefiller.text(body)
        params = {**(await n.prefill(body)), "remote_port": free_ports(1)[0]}
        got = await n.decoder.post("/v1/chat/completions", {**body, "kv_transfer_params": params})
        assert (got.status_code, await n.decoder.health()) == (status, health)
        if status == 200:
            assert got.json()["choices"][0]["message"]["content"] == expected
        else:
            assert (await n.decoder.post("/v1/chat/completions", chat(1))).status_code == 500
            assert n.decoder.grep("Counters can only be incremented by non-negative amounts")


async def test_engines_that_do_not_match_transfer_nothing() -> None:
    async with nixl(decoder_args=("--dtype", "float16")) as n:
        body = chat(100)
        params = await n.prefill(body)
        await n.decoder.text({**body, "kv_transfer_params": params})
        assert await n.decoder.metric("vllm:nixl_num_failed_transfers_total") == 1
        assert n.decoder.grep("NIXL transfer failure")


async def test_a_sequence_that_waits_for_its_blocks_does_not_hold_up_the_others() -> None:
    async with nixl(DPD_SIM_TIME_TRANSFER_BYTES_PER_SECOND="1000") as n:
        body = chat(100)
        params = await n.prefill(body)
        slow = asyncio.create_task(n.decoder.text({**body, "kv_transfer_params": params}))
        assert await n.decoder.text(chat(2))
        assert not slow.done()
        assert await slow


async def test_a_decode_aborted_while_it_is_queued_frees_the_prefillers_blocks() -> None:
    async with nixl() as n:
        body = chat(100)
        params = await n.prefill(body)
        await n.decoder.post("/sim/hang", {})
        ask = n.decoder.post("/v1/chat/completions", {**body, "kv_transfer_params": params})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask, 0.2)
        await n.decoder.post("/sim/resume", {})
        await settled(lambda: _leases(n, 0))
        assert await n.decoder.metric("vllm:nixl_xfer_time_seconds_count") == 0


async def test_a_side_channel_that_is_taken_keeps_the_engine_from_starting() -> None:
    async with nixl() as n:
        params = await n.prefill(chat(3))
        env = {"VLLM_NIXL_SIDE_CHANNEL_HOST": "127.0.0.1", "VLLM_NIXL_SIDE_CHANNEL_PORT": str(params["remote_port"])}
        with pytest.raises(SettingsError, match="Address already in use"):
            async with sim(*transfer_flag("kv_both", "NixlConnector"), env=env):
                raise AssertionError("it started")
