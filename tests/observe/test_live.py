"""A real Prometheus scrapes the page's endpoint while it works: no panel and no alert asks for what is not there."""

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
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
from support.programs import found

pytestmark = pytest.mark.slow
PATIENCE = 60.0
DASHBOARD = ("--set", "monitoring.dashboard.enabled=true")
# What an alert compares, without the comparison that leaves nothing of a healthy endpoint.
COMPARED = re.compile(r" (==|>|<) (?=[\d.]+(?: \* \d+)?(?:$| or))")


def manifests(*flags: str) -> Manifests:
    return Manifests(template("helm", PAGE, *TLS, *flags))


def with_certificate(planned: plan.Plan, folder: Path) -> plan.Plan:
    """The same plan, its router with a certificate, whose Secret is not here."""
    made = trustme.CA().issue_cert("localhost")
    (folder / "tls.crt").write_bytes(made.cert_chain_pems[0].bytes())
    (folder / "tls.key").write_bytes(made.private_key_pem.bytes())
    router = planned.front
    files = {}
    for path, text in router.files.items():
        section = {"certificateFile": str(folder / "tls.crt"), "keyFile": str(folder / "tls.key")}
        files[path] = yaml.safe_dump({**yaml.safe_load(text), "tls": section})
    return plan.Plan((*planned.processes[:-1], replace(router, files=files)))


def work(address: str, over: Event) -> None:
    """Ask both questions again and again, in words that no cache has seen."""
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="unused", max_retries=0)
    asked = 0
    while not over.is_set():
        for question in prompts.questions(4096, 16384):
            asked += 1
            text = f"Request {asked}. {question.text}"[: len(question.text)]
            message = {"role": "user", "content": text}
            stream = client.chat.completions.create(
                model="/opt/ml/model",
                messages=[message],  # type: ignore[list-item]
                max_tokens=10,
                stream=True,
            )
            assert list(stream)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[observing.Observed]:
    """The endpoint at work, with Prometheus beside it, until the last test has looked."""
    program, folder, over = found(prometheus.find).server, tmp_path_factory.mktemp("seen"), Event()
    rendered = manifests(*observing.ASK_FOR)
    planned = with_certificate(plan.make(rendered, folder, free_ports, {}), folder)
    eye = observing.process(program, rendered, planned, folder, free_ports)
    with ExitStack() as stack:
        stack.enter_context(running(planned, folder))
        observed = stack.enter_context(observing.watching(eye, rendered, folder))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        working = pool.submit(work, f"http://127.0.0.1:{planned.front.port}", over)
        stack.callback(over.set)
        yield observed
        over.set()
        working.result(PATIENCE)


def panels(text: str) -> list[tuple[str, str]]:
    drawn = [each for each in json.loads(text)["panels"] if each["type"] == "timeseries"]
    return [
        (f"{each['title']}: {target['legendFormat']}", target["expr"]) for each in drawn for target in each["targets"]
    ]


def until_all_answer(seen: observing.Observed, queries: list[tuple[str, str]]) -> None:
    """Every query has a value, sooner or later, all at some moment of a working endpoint."""
    deadline, missing = time.monotonic() + PATIENCE, queries
    while missing and time.monotonic() < deadline:
        missing = [each for each in missing if not table.query(seen.address, each[1])]
        time.sleep(0.2)
    assert missing == []


def rules(seen: observing.Observed) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{seen.address}/api/v1/rules", timeout=10) as answer:
        groups = json.loads(answer.read())["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_panel_shows_something_by_the_names_of_the_rules(seen: observing.Observed) -> None:
    drawn = panels(seen.dashboard.read_text())
    assert len(drawn) > 25
    assert sum("dpd:" in query for _, query in drawn) > 10
    until_all_answer(seen, drawn)


def test_every_panel_shows_something_where_there_are_no_rules(seen: observing.Observed) -> None:
    drawn = panels(observing.dashboard(manifests(*DASHBOARD)))
    assert not [query for _, query in drawn if "dpd:" in query]
    until_all_answer(seen, drawn)


def test_every_alert_compares_what_is_there(seen: observing.Observed) -> None:
    alerts = [(each["alert"], COMPARED.sub(r" \1 bool ", each["expr"])) for each in seen.rules if "alert" in each]
    assert len(alerts) == 7
    assert all(" bool " in query for _, query in alerts)
    until_all_answer(seen, alerts)


def test_every_rule_is_evaluated_and_no_alert_fires_while_all_is_well(seen: observing.Observed) -> None:
    deadline = time.monotonic() + PATIENCE
    while any(each["health"] == "unknown" for each in rules(seen)) and time.monotonic() < deadline:
        time.sleep(0.2)
    held = rules(seen)
    assert len(held) == len(seen.rules)
    assert [each for each in held if each["health"] != "ok"] == []
    assert [each["name"] for each in held if each.get("state") == "firing"] == []


def test_the_transfer_rate_is_that_of_the_bytes_that_were_moved(seen: observing.Observed) -> None:
    until_all_answer(seen, [("page", "dpd_router_page_bytes")])
    ((_, page),) = table.query(seen.address, "dpd_router_page_bytes")
    shape = "256 tokens x 80 layers x 2 x 1 head x 128 x 2 bytes"
    assert page == pytest.approx(256 * 80 * 2 * 128 * 2, rel=1 / 819), shape
