import pytest

from dpd_router.metrics import Metrics
from dpd_router.pool import Address, Pool, Role
from dpd_router.stages.observe import access, narrate, observe
from dpd_router.types import End, Event, Reason, Route, Step


def events(*rows):
    return [Event(step, at, {"request_id": "r1", **detail}) for step, at, detail in rows]


BEGIN = (Step.ACCEPTED, 0.0, {"path": "/v1/completions", "method": "POST", "bytes": 10})
LONG = {"tokens": 6750, "threshold": 4096, "disaggregate": True, "reason": Reason.THRESHOLD}
PREFILL = (Step.PREFILL_SENT, 1.0, {"worker": "p:1", "strategy": "s", "receiver": "d:1", "attempt": 1})
PREFILLED = (Step.PREFILL_ENDED, 3.0, {"worker": "p:1", "status": 200, "seconds": 2.0})
MOVED = (Step.TRANSFERRED, 3.5, {"confirmed": True})
DECODE = (Step.DECODE_SENT, 4.0, {"worker": "d:1", "tag": "t"})
FIRST: tuple[Step, float, dict[str, object]] = (Step.FIRST_BYTE, 5.0, {"streamed": True})


def ended(at, end=End.COMPLETE, status=200):
    return (Step.ENDED, at, {"status": status, "end": end, "bytes": 20})


def test_a_disaggregated_requests_figures():
    rows = events(BEGIN, (Step.DECIDED, 0.5, LONG), PREFILL, PREFILLED, MOVED, DECODE, FIRST, ended(9.0))
    record = observe(rows)
    expected = {
        "request_id": "r1",
        "caller": "",
        "code": "",
        "method": "POST",
        "prefiller": "p:1",
        "decoder": "d:1",
        "path": "/v1/completions",
        "status": 200,
        "route": Route.DISAGGREGATED,
        "reason": Reason.THRESHOLD,
        "end": End.COMPLETE,
        "duration": 9.0,
        "ttft": 5.0,
        "streamed": True,
        "prefill": 2.0,
        "transfer": "confirmed",
        "transfer_seconds": 0.5,
        "bytes_in": 10,
        "bytes_out": 20,
    }
    assert {name: getattr(record, name) for name in expected} == expected
    assert " ".join(f"{name}={value}" for name, value in access(record).items()) == (
        "request_id=r1 method=POST path=/v1/completions status=200 route=disaggregated reason=threshold "
        "prefiller=p:1 decoder=d:1 bytes_in=10 bytes_out=20 ttft_ms=5000.0 duration_ms=9000.0 end=complete"
    )


def test_a_fallback_counts_as_direct_and_its_last_reason_is_told():
    fell = (Step.FELL_BACK, 3.0, {"reason": Reason.PREFILL_FAILED})
    record = observe(events(BEGIN, (Step.DECIDED, 0.5, LONG), PREFILL, fell, DECODE, FIRST, ended(9.0)))
    assert (record.route, record.reason, record.prefill, record.transfer) == (
        Route.DIRECT,
        Reason.PREFILL_FAILED,
        None,
        None,
    )


def test_a_request_that_was_never_decided_has_no_route():
    record = observe(events(BEGIN, ended(0.1, End.REFUSED, 400)))
    assert (record.route, record.reason, record.ttft) == (Route.NONE, Reason.INVALID, None)


@pytest.mark.parametrize("step", [Step.ACCEPTED, Step.FIRST_BYTE, Step.ENDED])
def test_events_that_only_count_at_the_end_are_not_told(step):
    assert narrate(step, {}) is None


def test_metrics_are_the_sum_of_the_records():
    pool = Pool("n")
    pool.sync(Role.DECODE, {Address(Role.DECODE, "d", 1, (1,), (2,))})
    metrics = Metrics(frozenset({"/v1/completions"}), pool, lambda: 3, lambda: 0)
    metrics.record(
        observe(events(BEGIN, (Step.DECIDED, 0.5, LONG), PREFILL, PREFILLED, MOVED, DECODE, FIRST, ended(9)))
    )
    metrics.count("/a/path/nobody/serves", 404)
    text = metrics.text().decode()
    for line in (
        'dpd_router_requests_total{code="200",path="/v1/completions"} 1.0',
        'dpd_router_requests_total{code="404",path="other"} 1.0',
        'dpd_router_decisions_total{path="disaggregated",reason="threshold"} 1.0',
        'dpd_router_ttft_seconds_bucket{le="5.0",path="disaggregated",streamed="true"} 1.0',
        "dpd_router_prefill_seconds_sum 2.0",
        "dpd_router_transfer_seconds_sum 0.5",
        'dpd_router_transfers_total{outcome="confirmed"} 1.0',
        'dpd_router_bytes_total{direction="out"} 20.0',
        'dpd_router_terminations_total{end="complete"} 1.0',
        'dpd_router_worker_up{role="decode",worker="d:1"} 0.0',
        'dpd_router_pages_reserved{role="decode",worker="d:1"} 0.0',
        "dpd_router_background_tasks 3.0",
    ):
        assert line in text, text


def test_requests_are_counted_before_anybody_looks_however_many_have_ended():
    metrics = Metrics(frozenset({"/v1/completions"}), Pool("n"), lambda: 0, lambda: 0)
    record = observe(events(BEGIN, (Step.DECIDED, 0.5, LONG), PREFILL, PREFILLED, MOVED, DECODE, FIRST, ended(9)))
    of = ("dpd_router_requests_total", {"code": "200", "path": "/v1/completions"})
    for ended_now, ended_before in ((1, 0), (150, 1), (64, 151)):
        for _ in range(ended_now):
            metrics.record(record)
        assert metrics.registry.get_sample_value(*of) == ended_before + ended_now
