"""The section `discovery`: how workers are found."""

import os
from pathlib import Path

from dpd_router.config.section import Section
from dpd_router.discovery import Api, Lookup

MODES = ("dns", "kubernetes", "static")
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def read_lookup(root: Section, namespace: str) -> Lookup:
    """Return the section; `namespace` is where the endpoint lives. What is absent under kubernetes is as in any pod."""
    with root.section("discovery") as section:
        mode = section.text("mode", "dns", MODES)
        interval = section.seconds("intervalSeconds", 5, 0.05, 3600)
        server = section.text("server") if section.has("server") else _server()
        if mode == "kubernetes" and not server:
            fact = "no API server is known: KUBERNETES_SERVICE_HOST is not set"
            section.problem("server", fact, "run in a pod, or give its https:// address")
        return Lookup(
            mode,
            interval,
            section.text("namespace", namespace),
            Api(
                server,
                Path(section.text("tokenFile", f"{_ACCOUNT}/token")),
                Path(section.text("caFile", f"{_ACCOUNT}/ca.crt")),
            ),
        )


def place(entry: Section, mode: str) -> tuple[str, str]:
    """Return a pool entry's host and selector, of which its discovery needs one."""
    if mode != "kubernetes":
        return entry.text("host"), ""
    selector = entry.text("selector")
    if entry.has("host"):
        entry.problem("host", "is not looked up under discovery.mode kubernetes", "remove it: selector finds the pods")
    return "", selector


def _server() -> str:
    """Return the API server as Kubernetes tells every container."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return f"https://{f'[{host}]' if ':' in host else host}:{port}" if host else ""
