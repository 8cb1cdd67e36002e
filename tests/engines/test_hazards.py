import concurrent.futures
import time
from collections.abc import Callable

import pytest
import yaml

from dpd_local.plan import LMCACHE_FILE
from engines.harness import prompts
from engines.harness.client import CHAT, COMPLETIONS, Answer, Body, Leaver, ask, post
from engines.harness.endpoint import Endpoint
from engines.harness.evidence import buffer_empty, eventually, retrieved, total

LONG = 3500


Completion = Callable[..., Body]


@pytest.fixture
def completion(tokens: prompts.Tokens) -> Completion:
    return lambda size, **settings: {"prompt": tokens(size), "max_tokens": 8, **settings}


def works(endpoint: Endpoint, reference: Endpoint, body: Body) -> bool:
    """Whether a long prompt is transferred and rightly answered."""
    mark = endpoint.mark("decode")
    right = ask(endpoint.url(), COMPLETIONS, body).tokens == ask(reference.url(), COMPLETIONS, body).tokens
    size = len(body["prompt"])
    return right and (size, size) in retrieved(endpoint.log("decode", mark))


def logged(endpoint: Endpoint, mark: int, text: str, seconds: float = 30) -> bool:
    return eventually(lambda: text in endpoint.log("router", mark), seconds)


def receiver(endpoint: Endpoint) -> Body:
    """What a router tells a prefiller about its decoder."""
    files = endpoint.one("decode").files
    settings = yaml.safe_load(next(text for path, text in files.items() if path.name == LMCACHE_FILE))
    init, alloc = settings["pd_peer_init_port"], settings["pd_peer_alloc_port"]
    return {"receiver_host": "127.0.0.1", "receiver_init_port": init, "receiver_alloc_port": alloc}


def test_pages_of_a_prefill_that_nobody_reads_stay_until_somebody_reads_them(
    disaggregated: Endpoint, completion: Completion
) -> None:
    # What the router's drain is for: without this, the tests below would prove nothing.
    assert eventually(lambda: buffer_empty(disaggregated), 30)
    body: Body = {"model": "tiny", "temperature": 0, **completion(LONG, max_tokens=1)}
    tag = {"lmcache.tag.p": "nobody"}
    spec = {"req_id": "abandoned", **receiver(disaggregated)}
    post(disaggregated.url("prefill"), COMPLETIONS, {**body, "kv_transfer_params": {"disagg_spec": spec, **tag}})
    assert eventually(lambda: not buffer_empty(disaggregated), 30)
    time.sleep(15)
    assert not buffer_empty(disaggregated)
    post(disaggregated.url("decode"), COMPLETIONS, {**body, "kv_transfer_params": tag})
    assert eventually(lambda: buffer_empty(disaggregated), 30)


def test_a_client_that_leaves_during_prefill_leaves_no_page_behind(
    disaggregated: Endpoint, reference: Endpoint, completion: Completion
) -> None:
    for _ in range(5):
        mark = disaggregated.mark("router")
        client = Leaver(disaggregated.url(), COMPLETIONS, completion(4000))
        assert logged(disaggregated, mark, "prefill selection")
        client.leave()
        assert logged(disaggregated, mark, "[INFO] access ")
    assert eventually(lambda: buffer_empty(disaggregated), 30)
    assert works(disaggregated, reference, completion(LONG))


def test_a_client_that_leaves_during_decode_frees_the_decoder(
    disaggregated: Endpoint, reference: Endpoint, completion: Completion
) -> None:
    for _ in range(3):
        body = completion(2000, max_tokens=2000, ignore_eos=True, stream=True)
        client = Leaver(disaggregated.url(), COMPLETIONS, body)
        assert client.read_line().startswith(b"data:")
        client.leave()
    assert eventually(lambda: not total(disaggregated, "decode", "vllm:num_requests_running"), 30)
    assert eventually(lambda: buffer_empty(disaggregated), 30)
    assert works(disaggregated, reference, completion(LONG))


def killed_during(endpoint: Endpoint, role: str, body: Body) -> Answer:
    """The answer to a request whose prefiller or decoder is killed as soon as the prefill leg has begun."""
    mark = endpoint.mark("router")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, endpoint.url(), COMPLETIONS, body)
        assert logged(endpoint, mark, "prefill selection")
        endpoint.processes.kill(endpoint.one(role))
        return answer.result()


def test_a_request_that_the_decoder_refuses_after_its_transfer_leaves_no_page_behind(
    disaggregated: Endpoint, reference: Endpoint, completion: Completion
) -> None:
    # The prompt fits, prompt and answer do not: the prefiller computes one token and agrees, the decoder refuses.
    with pytest.raises(OSError, match=r"HTTP Error 400: .*maximum context length"):
        ask(disaggregated.url(), COMPLETIONS, completion(4300, max_tokens=100))
    assert eventually(lambda: buffer_empty(disaggregated), 30)
    assert works(disaggregated, reference, completion(LONG))


def test_a_prefiller_killed_during_a_prefill_costs_no_answer(
    disaggregated: Endpoint, reference: Endpoint, completion: Completion
) -> None:
    body = completion(4000)
    expected = ask(reference.url(), COMPLETIONS, body).tokens
    try:
        assert killed_during(disaggregated, "prefill", body).tokens == expected
        after = completion(LONG)
        assert ask(disaggregated.url(), COMPLETIONS, after).tokens == ask(reference.url(), COMPLETIONS, after).tokens
    finally:
        disaggregated.processes.restart(disaggregated.one("prefill"))
    assert eventually(lambda: works(disaggregated, reference, completion(LONG)), 60)
    assert eventually(lambda: buffer_empty(disaggregated), 30)


def test_a_decoder_that_comes_back_is_used_again(
    disaggregated: Endpoint, reference: Endpoint, completion: Completion
) -> None:
    decoder, prefiller = disaggregated.one("decode"), disaggregated.one("prefill")
    disaggregated.processes.kill(decoder)
    with pytest.raises(OSError, match=r"HTTP Error 50[23]"):
        ask(disaggregated.url(), CHAT, {"messages": [{"role": "user", "content": prompts.text(1)}]})
    disaggregated.processes.restart(decoder)
    short = completion(20)

    def answers() -> bool:
        try:
            found = ask(disaggregated.url(), COMPLETIONS, short).tokens
        except OSError:
            return False
        return found == ask(reference.url(), COMPLETIONS, short).tokens

    assert eventually(answers, 60)
    # A prefiller remembers the decoder that died at this address; in a cluster the new one has an address of its own.
    disaggregated.processes.kill(prefiller)
    disaggregated.processes.restart(prefiller)
    assert eventually(lambda: works(disaggregated, reference, completion(LONG)), 60)
