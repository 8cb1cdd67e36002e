import asyncio
import io
import json

import pytest

from dpd_router.access import AccessLog
from dpd_router.ask import Ask
from dpd_router.errors import BadRequestError, RouterError, UnavailableError
from dpd_router.logs import Format, Log
from dpd_router.record import Record
from dpd_router.types import End, Reason, Route
from router.rig import LONG, engine, get, router, short

DOCUMENTED = "[INFO] Conditional routing: estimated_tokens=5000, threshold=4096, disaggregate=True"


def log(form=Format.PLAIN, level="INFO"):
    stream = io.StringIO()
    return Log(stream, form, level, lambda: 1_700_000_000.25), stream


async def test_log_lines_of_a_few_turns_are_written_together_and_stay_lines():
    made, stream = log()
    made.info("a\nb")
    made.warning("b")
    made.error("c")
    await asyncio.sleep(0)
    made.info("d")
    assert stream.getvalue() == ""
    while not stream.getvalue():  # noqa: ASYNC110 - nobody is told when lines are written
        await asyncio.sleep(0.001)
    assert stream.getvalue() == "[INFO] a b\n[WARNING] b\n[ERROR] c\n[INFO] d\n"


async def test_json_holds_the_plain_line_and_what_it_says_as_fields():
    made, stream = log(Format.JSON)
    made.info('a\n"b"')
    made.of("c", "r1")
    made.access(
        "r2", lambda name: f"access request_id={name} status=200", lambda name: {"request_id": name, "status": 200}
    )
    made.flush()
    at = {"time": "2023-11-14T22:13:20.250Z", "level": "INFO"}
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {**at, "message": '[INFO] a "b"'},
        {**at, "message": "[INFO] c", "request_id": "r1"},
        {**at, "message": "[INFO] access request_id=r2 status=200", "request_id": "r2", "status": 200},
    ]


@pytest.mark.parametrize(("level", "kept"), [("INFO", "abc"), ("WARNING", "bc"), ("ERROR", "c")])
async def test_lines_below_the_level_are_not_written(level, kept):
    made, stream = log(level=level)
    made.info("a")
    made.warning("b")
    made.error("c")
    made.flush()
    assert [line[-1] for line in stream.getvalue().splitlines()] == list(kept)


def record(request_id="r", status=200, end=End.COMPLETE):
    return Record(
        request_id=request_id,
        method="POST",
        path="/v1/completions",
        status=status,
        route=Route.DIRECT,
        reason=Reason.SHORT,
        end=end,
    )


@pytest.mark.parametrize(("sample", "least", "most"), [(0, 0, 0), (0.25, 150, 350), (1, 1000, 1000)])
async def test_a_share_of_the_good_requests_is_written_and_the_same_in_every_router(sample, least, most):
    written = []
    for _ in range(2):
        made, stream = log()
        for number in range(1000):
            AccessLog(made, sample).record(record(f"request-{number}"))
        made.flush()
        written.append(stream.getvalue())
    assert least <= len(written[0].splitlines()) <= most
    assert written[0] == written[1]


@pytest.mark.parametrize(
    "failed", [record(status=404), record(end=End.CLIENT_LEFT), record(end=End.UPSTREAM_DIED), record(status=503)]
)
async def test_what_did_not_end_well_is_written_always(failed):
    made, stream = log()
    AccessLog(made, 0).record(failed)
    made.flush()
    assert "access request_id=r " in stream.getvalue()


@pytest.mark.parametrize(
    ("ask", "error", "line"),
    [
        (
            None,
            BadRequestError("?", code="bad_framing"),
            "request_id=- method=- path=- status=400 route=none reason=invalid code=bad_framing bytes_in=0 bytes_out=0 "
            "ttft_ms=- duration_ms=0.0 end=refused",
        ),
        (
            Ask("GET", "/v1/models", "?secret", [], b"abc", "r1", "team"),
            UnavailableError("?"),
            "request_id=r1 method=GET path=/v1/models status=503 route=none reason=invalid key=team "
            "code=service_unavailable_error bytes_in=3 bytes_out=0 ttft_ms=- duration_ms=0.0 end=unavailable",
        ),
        (
            Ask("POST", "/v1/completions", "", [], b"", "r1"),
            RouterError("?"),
            "request_id=r1 method=POST path=/v1/completions status=500 route=none reason=invalid code=internal_error "
            "bytes_in=0 bytes_out=0 ttft_ms=- duration_ms=0.0 end=router_error",
        ),
    ],
)
async def test_what_the_router_answers_itself_has_a_line_of_the_same_form(ask, error, line):
    made, stream = log()
    AccessLog(made).refused(ask, error)
    made.flush()
    assert stream.getvalue() == f"[INFO] access {line}\n"


async def test_the_documented_line_is_found_by_its_text_in_either_form():
    for form in Format:
        async with engine() as prefiller, engine() as decoder, router([prefiller], [decoder], form=form) as up:
            await up.post({"messages": [{"role": "user", "content": LONG}]})
            (line,) = [line for line in up.lines if DOCUMENTED in line]
            if form is Format.JSON:
                assert json.loads(line)["request_id"] == json.loads(up.lines[-1])["request_id"]


async def test_every_request_leaves_one_line_with_one_reason_for_its_end():
    async def dies(seen, reader, writer):
        writer.close()

    async with engine(dies) as decoder, router(decode=[decoder], limits={"bodyBytes": 1024}) as up:
        await up.post(short())
        await up.post(b"{")
        await up.post(short(pad="x" * 2000))
        await up.raw(get("/nowhere"))
        await up.raw(get("/v1/completions"))
        await up.raw(get("/v1/models"))
        await up.raw(b"nonsense\r\n\r\n")
        found = [dict(part.split("=") for part in line.split()[2:]) for line in up.lines if "] access " in line]
        assert [(each["status"], each["end"]) for each in found] == [
            ("502", "upstream_died"),
            ("400", "refused"),
            ("413", "refused"),
            ("404", "refused"),
            ("405", "refused"),
            ("503", "unavailable"),
            ("400", "refused"),
        ]


SECRET = "the-prompt-nobody-may-read"


async def test_no_prompt_answer_query_or_key_is_ever_written(tmp_path):
    (tmp_path / "team").write_text("the-key-itself")

    async def answer(seen, reader, writer):
        text = f'{{"error":"{SECRET}"}}'.encode()
        writer.write(b"HTTP/1.1 500 X\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text))

    async def garbage(seen, reader, writer):
        writer.write(SECRET.encode() + b"\r\n\r\n")

    for script in (answer, garbage):
        auth = {"keysDirectory": str(tmp_path)}
        async with (
            engine(script) as prefiller,
            engine(script) as decoder,
            router([prefiller], [decoder], auth=auth, routing={"threshold": 1}, form=Format.JSON) as up,
        ):
            key = b"x-api-key: the-key-itself\r\n"
            for body in (
                {"prompt": SECRET},
                {"messages": [{"content": SECRET}], "user": SECRET},
                f'{{"a":"{SECRET}'.encode(),
            ):
                await up.post(body, "/v1/completions?" + SECRET, key)
            await up.raw(
                get("/v1/models?" + SECRET, key + b"cookie: " + SECRET.encode() + b"\r\nconnection: close\r\n")
            )
            await up.raw(SECRET.encode() + b"\r\n\r\n")
            await up.router.background.finish(5)
            assert len(up.lines) > 4
            assert not [line for line in up.lines if SECRET in line or "the-key-itself" in line]
