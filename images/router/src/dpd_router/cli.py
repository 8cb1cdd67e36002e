"""The command: `dpd-router --config FILE`. Exit codes: 0 stopped when told, 1 could not run, 2 bad configuration."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client import disable_created_metrics

from dpd_router.config import load
from dpd_router.errors import ConfigInvalidError
from dpd_router.logs import Log
from dpd_router.server import serve

LOOP_VARIABLE = "DPD_ROUTER_LOOP"
LOOPS = ("auto", "uvloop", "asyncio")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        config = load(options.config)
        factory = loop_factory(options.loop)
    except ConfigInvalidError as error:
        return _refuse(error)
    except ImportError as error:
        sys.stderr.write(f"--loop {options.loop}: {error}; install uvloop, or use --loop asyncio\n")
        return 2
    # One more series for each counter, and nobody reads it.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    log = Log(sys.stdout, config.surface.logs.form, config.surface.logs.level)
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(serve(config, log))
    except ConfigInvalidError as error:  # of what it names, such as files
        return _refuse(error)
    except OSError as error:
        sys.stderr.write(f"cannot run: {error}; free the port, or change listen or transfer.notify\n")
        return 1
    return 0


def _refuse(error: ConfigInvalidError) -> int:
    for problem in error.problems:
        sys.stderr.write(f"{problem}\n")
    return 2


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop; None for asyncio's own. Raises ImportError when uvloop is asked for in vain."""
    if name == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if name == "uvloop":
            raise
        return None
    return uvloop.new_event_loop


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dpd-router", description="Route requests between prefillers and decoders.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the configuration, in YAML")
    default = os.environ.get(LOOP_VARIABLE, "auto")
    parser.add_argument(
        "--loop",
        choices=LOOPS,
        default=default if default in LOOPS else "auto",
        help=f"event loop; auto takes uvloop when it is installed (default: ${LOOP_VARIABLE} or auto)",
    )
    return parser
