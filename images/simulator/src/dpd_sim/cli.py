"""`dpd-sim`: the command line of `vllm serve`, the environment of its container, and signals."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dpd_sim import flags
from dpd_sim.lmcache_config import FILE_ENV
from dpd_sim.log import Log
from dpd_sim.server import running
from dpd_sim.settings import Knobs, Settings, SettingsError

DEATH_POLL_SECONDS = 0.2


def main() -> int:
    """Run until told to stop. Status 0 after a signal, 1 when the engine refuses to start, 2 for bad usage."""
    try:
        words = sys.argv[1:]
        given = flags.parse(words[1:] if words[:1] == ["serve"] else words)
    except flags.FlagError as error:
        sys.stderr.write(f"usage: vllm serve [model_tag] [options]\nvllm serve: error: {error}\n")
        return 2
    try:
        settings = prepare(given, os.environ)
        logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s:     %(message)s")
        log = Log(_line, settings.ranks)
        asyncio.run(_serve(settings, log))
    except (SettingsError, OSError) as error:
        sys.stderr.write(f"vllm serve: error: {error}\n")
        return 1
    return 0


def prepare(given: flags.Flags, env: Mapping[str, str]) -> Settings:
    """Gather an engine's settings; reads the LMCache configuration file that the environment names."""
    document, problem = _cache_document(env.get(FILE_ENV))
    return Settings(given, Knobs.read(env), dict(env), document, problem)


def _cache_document(path: str | None) -> tuple[dict[str, Any] | None, str | None]:
    if not path:
        return None, None
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        return None, f"{FILE_ENV}: {path} cannot be read: {error.strerror}"
    except (ValueError, yaml.YAMLError) as error:
        return None, f"{FILE_ENV}: {path} is not YAML: {' '.join(str(error).split())}"
    if document is None:
        return {}, None
    if type(document) is not dict:
        return None, f"{FILE_ENV}: {path} is not a mapping"
    return document, None


async def _serve(settings: Settings, log: Log) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, log) as served:
        log.vllm(
            "INFO", f"vLLM API server (simulated) on http://{served.host}:{served.port}, model {settings.names[0]}"
        )
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), DEATH_POLL_SECONDS if settings.knobs.exit_on_death else None)
            if settings.knobs.exit_on_death and served.parts.engine.dead is not None:
                return
        log.vllm("INFO", "Shutting down")


def _line(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
