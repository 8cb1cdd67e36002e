"""The `dpd-operator` command: arguments in, one controller out."""

import argparse
import logging
import os
import socket
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from dpd_operator.settings import Settings

_BAD_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the controller until it is told to stop; returns the exit status."""
    given = _parser().parse_args(argv)
    logging.basicConfig(
        level=given.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("kopf").setLevel(logging.WARNING)
    settings = _settings(given)
    absent = [str(path) for path in (settings.helm, settings.chart, settings.shared) if path and not path.exists()]
    if absent:
        print(f"dpd-operator: no such file: {', '.join(absent)}", file=sys.stderr)  # noqa: T201  (a command speaks)
        return _BAD_USAGE
    # Late: kopf takes a second, which a wrong argument should not.
    from dpd_operator.app import run
    from dpd_operator.seams import ApiError

    try:
        return run(settings)
    except ApiError as error:
        print(f"dpd-operator: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _settings(given: argparse.Namespace) -> Settings:
    identity = os.environ.get("POD_NAME") or socket.gethostname()
    return Settings(
        namespace=given.namespace,
        # Two processes of one pod name (a restarted container) are two candidates.
        identity=f"{identity}_{uuid.uuid4().hex[:8]}",
        lease=given.lease,
        helm=given.helm,
        chart=given.chart,
        shared=given.values,
        namespaces=tuple(given.watch),
        router_namespaces=tuple(given.routers),
        workers=given.workers,
        metrics_host=given.metrics_host,
        metrics_port=given.metrics_port,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dpd-operator", description="Run InferenceEndpointConfigs.", allow_abbrev=False
    )
    parser.add_argument("--helm", type=Path, required=True, help="the helm program")
    parser.add_argument("--chart", type=Path, required=True, help="the dpd chart's folder")
    parser.add_argument("--values", type=Path, help="a values file under every endpoint's own values")
    parser.add_argument("--namespace", required=True, help="where the releases' records and the lease lie")
    parser.add_argument("--lease", default="dpd-operator", help="name of the lease (default: %(default)s)")
    parser.add_argument(
        "--watch", action="append", default=[], metavar="NAMESPACE", help="only this one; may be repeated"
    )
    parser.add_argument(
        "--routers",
        action="append",
        default=[],
        metavar="NAMESPACE",
        help="with --watch: where routers are; may be repeated",
    )
    parser.add_argument("--workers", type=int, default=4, help="endpoints worked on at a time (default: %(default)s)")
    parser.add_argument("--metrics-host", default="0.0.0.0", help="default: %(default)s")  # noqa: S104  (a pod's own)
    parser.add_argument("--metrics-port", type=int, default=9090, help="default: %(default)s, 0 for a free one")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser
