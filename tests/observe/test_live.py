"""A real Prometheus scrapes endpoints of every shape at work: no panel and no alert asks for what is not there."""

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import openai
import pytest
import trustme
import yaml

import prometheus
from chart.helm import template
from dpd_local import observing, plan, prompts, table
from dpd_local.manifests import Manifests
from dpd_local.ports import free_ports
from dpd_local.processes import running
from observe.rules import PAGE, TLS
from support.paths import CASES
from support.programs import found

pytestmark = pytest.mark.slow
PATIENCE = 60.0
DASHBOARD = ("--set", "monitoring.dashboard.enabled=true")
# What an alert compares, without the comparison that leaves nothing of a healthy endpoint.
COMPARED = re.compile(r" (==|>|<) (?=[\d.]+(?: \* \d+)?(?:$| or))")


@dataclass(frozen=True)
class Shape:
    """A kind of endpoint: its values, how many panels ask for something, and the alerts that watch it."""

    values: Path
    flags: tuple[str, ...]
    queries: int
    alerts: tuple[str, ...]

    def manifests(self, *flags: str) -> Manifests:
        return Manifests(template("helm", self.values, *self.flags, *flags))


OF_ROLES = (
    "DPDFallbackRate",
    "DPDPrefillHangs",
    "DPDZeroTokenRetrievals",
    "DPDRoleMissing",
    "DPDTransferSlow",
    "DPDCertificateExpiry",
)
ACCEPT = CASES / "accept"
SHAPES = {
    "page": Shape(PAGE, TLS, 26, ("DPDBufferNearFull", "DPDLedgerDrift", *OF_ROLES)),
    "nixl": Shape(ACCEPT / "nixl" / "values.yaml", TLS, 20, OF_ROLES),
    "routed": Shape(ACCEPT / "routing-colocated" / "values.yaml", TLS, 10, ("DPDCertificateExpiry",)),
    "colocated": Shape(ACCEPT / "colocated" / "values.yaml", (), 4, ()),
}


@dataclass(frozen=True)
class Seen:
    """One shape at work, and the Prometheus beside it."""

    shape: Shape
    by: observing.Observed


def with_certificate(planned: plan.Plan, folder: Path) -> plan.Plan:
    """The same plan, its router with a certificate, whose Secret is not here."""
    made = trustme.CA().issue_cert("localhost")
    (folder / "tls.crt").write_bytes(made.cert_chain_pems[0].bytes())
    (folder / "tls.key").write_bytes(made.private_key_pem.bytes())
    router = planned.by_role("router")
    if router is None:
        return planned
    files = {}
    for path, text in router.files.items():
        section = {"certificateFile": str(folder / "tls.crt"), "keyFile": str(folder / "tls.key")}
        files[path] = yaml.safe_dump({**yaml.safe_load(text), "tls": section})
    return plan.Plan((*planned.processes[:-1], replace(router, files=files)))


def work(address: str, over: Event) -> None:
    """Ask both questions again and again, in words that no cache has seen."""
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="unused", max_retries=0)
    model, asked = client.models.list().data[0].id, 0
    while not over.is_set():
        for question in prompts.questions(4096, 16384):
            asked += 1
            text = f"Request {asked}. {question.text}"[: len(question.text)]
            message = {"role": "user", "content": text}
            stream = client.chat.completions.create(
                model=model,
                messages=[message],  # type: ignore[list-item]
                max_tokens=10,
                stream=True,
            )
            assert list(stream)


@pytest.fixture(scope="module", params=list(SHAPES))
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """An endpoint at work, with Prometheus beside it, until the last test has looked."""
    shape = SHAPES[request.param]
    program, folder, over = found(prometheus.find).server, tmp_path_factory.mktemp("seen"), Event()
    rendered = shape.manifests(*observing.ASK_FOR)
    planned = with_certificate(plan.make(rendered, folder, free_ports, {}), folder)
    eye = observing.process(program, rendered, planned, folder, free_ports)
    with ExitStack() as stack:
        stack.enter_context(running(planned, folder))
        observed = stack.enter_context(observing.watching(eye, rendered, folder))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        working = pool.submit(work, f"http://127.0.0.1:{planned.front.port}", over)
        stack.callback(over.set)
        yield Seen(shape, observed)
        over.set()
        working.result(PATIENCE)


def panels(text: str) -> list[tuple[str, str]]:
    drawn = [each for each in json.loads(text)["panels"] if each["type"] == "timeseries"]
    return [
        (f"{each['title']}: {target['legendFormat']}", target["expr"]) for each in drawn for target in each["targets"]
    ]


def until_all_answer(seen: Seen, queries: list[tuple[str, str]]) -> None:
    """Every query has a value, sooner or later, all at some moment of a working endpoint."""
    deadline, missing = time.monotonic() + PATIENCE, queries
    while missing and time.monotonic() < deadline:
        missing = [each for each in missing if not table.query(seen.by.address, each[1])]
        time.sleep(0.2)
    assert missing == []


def rules(seen: Seen) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{seen.by.address}/api/v1/rules", timeout=10) as answer:
        groups = json.loads(answer.read())["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_panel_shows_something_by_the_names_of_the_rules(seen: Seen) -> None:
    drawn = panels(seen.by.dashboard.read_text())
    assert len(drawn) > seen.shape.queries
    assert sum("dpd:" in query for _, query in drawn) > seen.shape.queries / 3
    until_all_answer(seen, drawn)


def test_every_panel_shows_something_where_there_are_no_rules(seen: Seen) -> None:
    drawn = panels(observing.dashboard(seen.shape.manifests(*DASHBOARD)))
    assert len(drawn) > seen.shape.queries
    assert not [query for _, query in drawn if "dpd:" in query]
    until_all_answer(seen, drawn)


def test_every_alert_compares_what_is_there(seen: Seen) -> None:
    alerts = [(each["alert"], COMPARED.sub(r" \1 bool ", each["expr"])) for each in seen.by.rules if "alert" in each]
    assert [name for name, _ in alerts] == list(seen.shape.alerts)
    assert all(" bool " in query for _, query in alerts)
    until_all_answer(seen, alerts)


def test_every_rule_is_evaluated_and_no_alert_fires_while_all_is_well(seen: Seen) -> None:
    deadline = time.monotonic() + PATIENCE
    while any(each["health"] == "unknown" for each in rules(seen)) and time.monotonic() < deadline:
        time.sleep(0.2)
    held = rules(seen)
    assert len(held) == len(seen.by.rules)
    assert [each for each in held if each["health"] != "ok"] == []
    assert [each["name"] for each in held if each.get("state") == "firing"] == []


@pytest.mark.parametrize("seen", ["page"], indirect=True)
def test_the_transfer_rate_is_that_of_the_bytes_that_were_moved(seen: Seen) -> None:
    until_all_answer(seen, [("page", "dpd_router_page_bytes")])
    ((_, page),) = table.query(seen.by.address, "dpd_router_page_bytes")
    shape = "256 tokens x 80 layers x 2 x 1 head x 128 x 2 bytes"
    assert page == pytest.approx(256 * 80 * 2 * 128 * 2, rel=1 / 819), shape
