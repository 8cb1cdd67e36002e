"""docs/reference/metrics.md: what there is to see of an endpoint, from the table that the chart draws from."""

from collections.abc import Mapping
from typing import Any

from schemagen.sources import Sources

_HEADING = """<!-- Generated from schemas/monitoring.yaml by `make generate`; do not edit. -->

# Metrics, dashboard and alerts

`monitoring.rules.enabled` gives a PrometheusRule with the recording rules and the alerts below,
`monitoring.dashboard.enabled` a Grafana dashboard with a row for each section. Engines, proxies and routers count; the
collectors in their pods serve it on port 9464 with the labels `namespace`, `resource_name`, `pod_name` and, of workers,
`dpd_role`. `$endpoint` stands for the first two, `$window` for five minutes or four scrapes, whichever is longer,
unless `monitoring.window` says otherwise. A metric with quantiles has a label `quantile` of 0.5, 0.9 or 0.99.
"""
_ALERTS = """## Alerts

| alert | severity | when | what it means |
| --- | --- | --- | --- |
"""
_NEEDS = {
    "router": "with a router",
    "pd": "with `pdSpec`",
    "colocated": "without `pdSpec`",
    "lmcache": "where `transfer.connector` is lmcache",
    "nixl": "where `transfer.connector` is nixl",
    "efa": "where `transfer.fabric` is efa",
    "tls": "with a certificate",
}


def metrics_page(sources: Sources) -> str:
    """Return the page, as Markdown."""
    table = sources.monitoring
    rows = [_section(row) for row in table["rows"]]
    alerts = "".join(_alert(each) for each in table["alerts"])
    reasons = ", ".join(f"`{each}`" for each in table["fallbacks"])
    return "\n".join([_HEADING, *rows, f"{_ALERTS}{alerts}", f"`$fallbacks` are the reasons {reasons}.\n"])


def _section(row: Mapping[str, Any]) -> str:
    where = f"Drawn {_needs(row)}.\n\n" if row.get("needs") else ""
    panels = "".join(_panel(panel) for panel in row["panels"])
    return f"## {row['title']}\n\n{where}{panels}"


def _panel(panel: Mapping[str, Any]) -> str:
    where = f" Drawn {_needs(panel)}." if panel.get("needs") else ""
    queries = "".join(f"{_query(query)}\n" for query in panel["queries"])
    return f"**{panel['title']}.** {panel['says']}{where}\n\n```promql\n{queries}```\n\n"


def _query(query: Mapping[str, Any]) -> str:
    return f"# {query['record']}\n{query['expr']}" if "record" in query else str(query["expr"])


def _alert(alert: Mapping[str, Any]) -> str:
    link = f"[{alert['alert']}](../operations.md#{alert['alert'].lower()})"
    when = f"`{_cell(alert['expr'])}` for {alert['for']}"
    return f"| {link} | {alert['severity']} | {when}; {_needs(alert)} | {_cell(alert['description'])} |\n"


def _needs(row: Mapping[str, Any]) -> str:
    return ", ".join(_NEEDS[each] for each in row["needs"])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
