"""What the dashboard and the alerts ask of an engine is what that engine, in that role, serves."""

import re
from collections.abc import Iterator

from engines.harness import prompts
from engines.harness.client import CHAT, ask
from engines.harness.endpoint import Endpoint
from engines.harness.evidence import eventually, samples
from observe.rules import table

PATIENCE_SECONDS = 30.0
SERIES = re.compile(r'\b((?:vllm|lmcache):\w+)\{\$endpoint,dpd_role="(prefill|decode)"')


def asked_of_engines(*without: str) -> set[tuple[str, str]]:
    """Role and name of every series of an endpoint with prefillers and decoders; without panels that need something."""

    def queries() -> Iterator[str]:
        for row in table("rows"):
            for panel in row["panels"]:
                if not {*row.get("needs", ()), *panel.get("needs", ())} & {*without, "colocated"}:
                    yield from (query["expr"] for query in panel["queries"])

    return {(role, name) for text in queries() for name, role in SERIES.findall(text)}


def all_served(endpoint: Endpoint, *without: str) -> None:
    for sentences in (3, 120, 120):
        text = prompts.text(sentences)
        ask(endpoint.url(), CHAT, {"messages": [{"role": "user", "content": text}], "max_tokens": 4})
    asked = asked_of_engines(*without)
    assert len(asked) > 12

    def missing() -> set[tuple[str, str]]:
        served = {(role, name) for role in ("prefill", "decode") for name, _, _ in samples(endpoint, role)}
        return asked - served

    assert eventually(lambda: not missing(), PATIENCE_SECONDS), missing()


def test_engines_serve_every_series_that_the_dashboard_asks_them_for(disaggregated: Endpoint) -> None:
    all_served(disaggregated, "nixl")


def test_engines_with_vllms_own_connector_serve_every_series_too(nixl: Endpoint) -> None:
    all_served(nixl, "lmcache")
