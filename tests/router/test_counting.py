"""Counting: what is counted, by what, how long it may take, and that the estimate stands where it cannot be done."""

import asyncio
import io
import json
import threading

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from dpd_router.config.load import from_document
from dpd_router.counting.engine import EngineSource
from dpd_router.counting.file import MAX_WAITING, Encoder, FileSource, TokenizerUnusableError, load_encoder
from dpd_router.counting.guarded import FAILURES, REST_SECONDS, CountFailedError, Guarded
from dpd_router.counting.prompts import countable
from dpd_router.counting.template import ChatTemplate
from dpd_router.errors import ConfigInvalidError, ConnectFailedError
from dpd_router.logs import Log
from dpd_router.pool import Role, Worker
from dpd_router.server import assemble
from dpd_router.stages.estimate import estimate
from dpd_router.strategies import Strategy, strategy_named
from dpd_router.types import Reply, Request
from router.fakes import Legs, world
from router.rig import engine, router
from router.test_config import having

CHATML = (
    "{{ bos_token }}{% if tools %}<tools>{{ tools | tojson }}</tools>{% endif %}"
    "{% for message in messages %}\n<{{ message.role }}>{{ message.content }}</>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
PARTS = "{% for m in messages %}{% for part in m['content'] %}[{{ part.text }}]{% endfor %}{% endfor %}"


def request(body, target="/v1/chat/completions", **more):
    return Request(target, [], body, json.dumps(body).encode(), False, False, "r", **more)


def chat(*contents, **more):
    return {"model": "m", "messages": [{"role": "user", "content": each} for each in contents], **more}


def tokenizer_file(folder, template=CHATML, **config):
    """A tokenizer with a token for every word, as a model's folder has it."""
    words = ["hello", "big", "world", "user", "assistant", "tools", "system"]
    vocabulary = {word: number for number, word in enumerate(["?", *words, "<", ">", "</", "</>", "<|bos|>"])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(["<|bos|>"])
    made.save(str(folder / "tokenizer.json"))
    settings = {"bos_token": {"content": "<|bos|>"}, "chat_template": template, **config}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize(
    ("body", "target", "counted"),
    [
        (chat("hi", temperature=1), "/v1/chat/completions", {"model", "messages"}),
        (chat("hi", tools=[{}]), "/v1/x?y", {"model", "messages", "tools"}),
        (chat("hi", chat_template_kwargs={"x": 1}), "/invoke", {"model", "messages", "chat_template_kwargs"}),
        (chat([{"type": "text", "text": "hi"}]), "/v1/chat/completions", {"model", "messages"}),
        (chat(None), "/v1/chat/completions", {"model", "messages"}),
        (chat([{"type": "image_url", "image_url": {}}]), "/v1/chat/completions", None),
        ({"messages": []}, "/v1/chat/completions", None),
        ({"messages": ["hi"]}, "/v1/chat/completions", None),
        (chat("hi"), "/v1/messages", None),
        ({"input": "hi"}, "/v1/responses", None),
        ({"prompt": "hi", "max_tokens": 1}, "/v1/completions", {"prompt"}),
        ({"prompt": [1, 2]}, "/v1/completions", None),
        ({"prompt": ["a", "b"]}, "/v1/completions", None),
        ({"prompt": ""}, "/v1/completions", None),
    ],
)
def test_what_decides_a_prompts_tokens_is_counted_and_what_text_does_not_say_is_not(body, target, counted):
    asked = countable(request(body, target))
    assert (asked if asked is None else set(asked)) == counted


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (chat("hello"), "<|bos|><user>hello</>\n<assistant>"),
        (chat("hello", add_generation_prompt=False), "<|bos|><user>hello</>\n"),
        (chat("a", tools=[{"é": 1}]), '<|bos|><tools>[{"é": 1}]</tools><user>a</>\n<assistant>'),
        (chat([{"type": "text", "text": "a"}, "b"]), "<|bos|><user>a\nb</>\n<assistant>"),
        (chat("a", chat_template_kwargs={"add_generation_prompt": False}), "<|bos|><user>a</>\n"),
        (chat("{{ 7 * 7 }}"), "<|bos|><user>{{ 7 * 7 }}</>\n<assistant>"),
    ],
)
def test_a_chat_is_rendered_as_the_model_is_given_it(asked, text):
    assert ChatTemplate(CHATML, {"bos_token": "<|bos|>"}).render(asked) == text


def test_a_template_that_walks_through_parts_gets_parts():
    assert ChatTemplate(PARTS, {}).render(chat("a", [{"type": "text", "text": "b"}])) == "[a][b]"


def test_a_calls_arguments_are_an_object_whatever_the_client_sent():
    template = ChatTemplate("{% for m in messages %}{{ m.tool_calls[0].function.arguments.x }}{% endfor %}", {})
    call = {"function": {"name": "f", "arguments": '{"x": 5}'}}
    assert template.render({"messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]}) == "5"


def test_what_a_template_may_mark_and_when_it_was_are_understood():
    marked = "{% generation %}x{% endgeneration %}"
    looped = "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}y{% endfor %}"
    dated = "{{ strftime_now('%Y') | length }}"
    assert ChatTemplate(marked + looped + dated, {}).render(chat("a", "b")) == "xy4"


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('roles must alternate') }}",
        "{{ messages[5].content.x }}",
        "{{ 1 / 0 }}",
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    ],
)
def test_what_a_template_refuses_or_may_not_do_is_no_count(source):
    with pytest.raises(CountFailedError, match="the chat template: "):
        ChatTemplate(source, {}).render(chat("a"))


def test_a_chat_that_goes_on_in_its_last_message_is_not_counted_here():
    with pytest.raises(CountFailedError):
        ChatTemplate(CHATML, {}).render(chat("a", continue_final_message=True, add_generation_prompt=False))


def test_a_mounted_tokenizer_counts_template_and_tools(tmp_path):
    encoder = load_encoder(tokenizer_file(tmp_path))
    assert encoder.encode({"prompt": "hello big world"}) == [1, 2, 3]
    plain = encoder.encode(chat("hello big world"))
    assert plain[0] == 12
    assert len(encoder.encode(chat("hello big world", tools=[{"name": "x"}]))) > len(plain) > 3


def test_a_template_file_comes_before_the_configurations_and_tools_have_their_own(tmp_path):
    named = [{"name": "default", "template": "hello"}, {"name": "tool_use", "template": "hello big"}]
    folder = tokenizer_file(tmp_path, named)
    assert load_encoder(folder).encode(chat("x")) == [1]
    assert load_encoder(folder).encode(chat("x", tools=[{}])) == [1, 2]
    (folder / "chat_template.jinja").write_text("hello big world")
    assert load_encoder(folder).encode(chat("x")) == [1, 2, 3]


def test_without_a_template_a_chat_is_not_counted_and_a_request_may_not_bring_one(tmp_path):
    encoder = load_encoder(tokenizer_file(tmp_path, None))
    with pytest.raises(CountFailedError, match="no chat template"):
        encoder.encode(chat("x"))
    with pytest.raises(CountFailedError, match="its own chat template"):
        encoder.encode(chat("x", chat_template="{{ evil }}"))


@pytest.mark.parametrize("broken", ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"])
def test_files_that_are_no_use_end_the_start_and_say_which(tmp_path, broken):
    (tokenizer_file(tmp_path) / broken).write_bytes(b"{% broken")
    with pytest.raises(TokenizerUnusableError, match=str(tmp_path)):
        load_encoder(tmp_path)


async def test_a_router_without_its_tokenizer_does_not_start(tmp_path, capsys):
    config = from_document(having(tokenizer={"mode": "file", "path": str(tmp_path)}))
    with pytest.raises(ConfigInvalidError, match=r"routing\.tokenizer\.path: .*tokenizer\.json cannot be read"):
        assemble(config, Log(io.StringIO()))


class Source:
    """A count that does as it is told."""

    def __init__(self, *steps):
        self.steps = list(steps)
        self.asked = 0

    async def ids(self, asked, request):
        self.asked += 1
        step = self.steps.pop(0) if self.steps else [1, 2, 3]
        if isinstance(step, Exception):
            raise step
        if step is ...:
            await asyncio.Event().wait()
        return step


class Counting:
    def __init__(self, *steps, worth=True, seconds=0.02):
        self.now, self.lines = 0.0, list[str]()
        self.source = Source(*steps)
        self.guarded = Guarded(self.source, lambda _: worth, seconds, lambda: self.now, self.lines.append)

    async def count(self, body):
        asked = request(body)
        return await self.guarded.count(asked, estimate(asked.body))


async def test_what_is_counted_is_exact_and_has_its_ids():
    prompt = await Counting([5] * 900).count(chat("hello"))
    assert (prompt.tokens, prompt.exact, prompt.ids, prompt.lead) == (900, True, [5] * 900, "hello")


async def test_a_salted_prompt_shares_its_blocks_with_nobody():
    prompt = await Counting([5] * 900).count(chat("hello", cache_salt="mine"))
    assert (prompt.tokens, prompt.ids) == (900, ())


@pytest.mark.parametrize("step", [CountFailedError("no"), ...])
async def test_where_counting_fails_or_takes_too_long_the_estimate_stands(step):
    counting = Counting(step)
    prompt = await counting.count(chat("x" * 400))
    assert (prompt.tokens, prompt.exact, counting.guarded.tally.failed) == (100, False, 1)


async def test_what_is_not_worth_it_or_known_already_is_not_asked():
    for counting, body in ((Counting(worth=False), chat("x")), (Counting(), {"prompt": [1, 2]})):
        await counting.count(body)
        assert counting.source.asked == 0


async def test_after_three_failures_in_a_row_nobody_is_asked_for_a_while():
    counting = Counting(*[CountFailedError("down")] * FAILURES)
    for _ in range(FAILURES + 2):
        await counting.count(chat("x"))
    assert (counting.source.asked, counting.guarded.tally.rested, len(counting.lines)) == (FAILURES, 2, 1)
    assert "last: down" in counting.lines[0]
    counting.now = REST_SECONDS
    assert (await counting.count(chat("x"))).exact


async def test_one_count_that_succeeds_makes_up_for_failures():
    down = CountFailedError("down")
    counting = Counting(down, down, [1], down, down, [1])
    for _ in range(6):
        await counting.count(chat("x"))
    assert counting.lines == []


@pytest.mark.parametrize(
    "answer", [Reply(404, [], b""), Reply(200, [], b"{}"), Reply(200, [], b"no"), ConnectFailedError("gone")]
)
async def test_an_engine_that_cannot_count_is_a_count_that_fails(answer):
    w = world(plan={"d0:8081": [answer]})
    asked: Strategy[Worker] = strategy_named("leastload")
    w.pool.watch(Role.DECODE, asked)
    with pytest.raises(CountFailedError, match="d0:8081/tokenize"):
        await EngineSource(w.legs, asked).ids(chat("x"), request(chat("x")))


async def test_without_a_worker_nobody_can_be_asked():
    with pytest.raises(CountFailedError):
        await EngineSource(Legs(), strategy_named("leastload")).ids(chat("x"), request(chat("x")))


class Slow:
    """A tokenizer that takes its time in a thread, until it is let go."""

    def __init__(self):
        self.go = threading.Event()
        self.began = threading.Event()

    def encode_batch_fast(self, texts, add_special_tokens):
        self.began.set()
        self.go.wait(30)
        raise CountFailedError("let go")


async def test_a_long_prompt_is_counted_in_a_thread_and_holds_nobody_up():
    slow = Slow()
    source = FileSource(Encoder(slow, {}), 1)
    body = {"prompt": "x" * 100_000}
    try:
        counts = [asyncio.create_task(source.ids(body, request(body))) for _ in range(MAX_WAITING)]
        await asyncio.to_thread(slow.began.wait, 30)
        with pytest.raises(CountFailedError, match="are being counted"):
            await source.ids(body, request(body))
        counts[0].cancel()
    finally:
        slow.go.set()
    results = await asyncio.gather(*counts, return_exceptions=True)
    assert {type(each) for each in results} == {asyncio.CancelledError, CountFailedError}
    source.close()


async def tokenizes(seen, reader, writer):
    if seen.path != "/tokenize":
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        return
    body = json.dumps({"count": 5000, "tokens": [7] * 5000}).encode()
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


ENGINE = {"tokenizer": {"mode": "engine", "timeoutSeconds": 5}, "threshold": 4096}


def between(prefiller, decoder, routing):
    return router(prefill=[prefiller], decode=[decoder], routing=routing)


async def test_the_threshold_turns_on_the_count_and_the_documented_line_shows_it():
    """Text of 3,000 characters is estimated at 750 tokens; a decoder says that it is 5,000."""
    async with engine(tokenizes) as decoder, engine() as prefiller, between(prefiller, decoder, ENGINE) as up:
        answer = await up.post(chat("x" * 3000))
        assert b"disaggregated; reason=threshold" in answer
        assert "[INFO] Conditional routing: estimated_tokens=5000, threshold=4096, disaggregate=True" in up.lines
        assert [seen.path for seen in decoder.seen] == ["/tokenize", "/v1/chat/completions"]
        assert "kv_transfer_params" not in decoder.seen[0].json
        assert [seen.path for seen in prefiller.seen] == ["/v1/chat/completions"]


async def test_a_body_too_small_to_matter_is_not_counted():
    async with engine(tokenizes) as decoder, engine() as prefiller, between(prefiller, decoder, ENGINE) as up:
        await up.post(chat("x" * 300))
        assert [seen.path for seen in decoder.seen] == ["/v1/chat/completions"]
        assert 'dpd_router_token_counts_total{outcome="counted"} 0.0' in up.router.app.metrics.text().decode()


async def test_a_mounted_file_decides_in_the_router(tmp_path):
    mounted = {"mode": "file", "path": str(tokenizer_file(tmp_path)), "timeoutSeconds": 30}
    routing = {"tokenizer": mounted, "threshold": 500}
    async with engine() as decoder, engine() as prefiller, between(prefiller, decoder, routing) as up:
        await up.post(chat("hello " * 2000))
        line = next(each for each in up.lines if "Conditional routing" in each)
        assert 2000 < int(line.split("estimated_tokens=")[1].split(",")[0]) < 2020
