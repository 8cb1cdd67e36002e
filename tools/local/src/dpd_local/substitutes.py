"""Beside the third stop: what a pod's KV cache needs and this machine lacks, and what takes its place. Decides only."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dpd_local.podspec import LOOPBACK, flag, with_flag

CONFIG_FILE = "LMCACHE_CONFIG_FILE"
REMOTE_URL = "LMCACHE_REMOTE_URL"
_SECRET = re.compile(r"//[^/]*@")
_DAEMON = "sagemaker-hyperpod://"
_CONNECTOR = "--kv-transfer-config"


@dataclass(frozen=True)
class Substitutes:
    """What to say of it, line by line; variables and files that stand in for those of the pod."""

    notes: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[Path, str] = field(default_factory=dict)


def store(settings: Mapping[str, Any], variables: Mapping[str, str]) -> tuple[str, ...]:
    """What is said of the store behind LMCache, given its file's settings and its variables; nothing without one."""
    url = variables.get(REMOTE_URL) or settings.get("remote_url")
    if not url:
        return ()
    shown = _SECRET.sub("//", str(url))
    what = "the daemon of managed tiered storage" if shown.startswith(_DAEMON) else "a store"
    return (f"{what} at {shown} is not here: replaced by none, as when it is out of reach, so KV stays in the engine",)


def config_file(variables: Mapping[str, str], known: tuple[str, ...], folder: Path) -> Substitutes:
    """An empty file in `folder` for LMCache's, when the pod's lies below none of the `known` mount paths."""
    path = variables.get(CONFIG_FILE)
    if path is None or any(path.startswith(f"{each.rstrip('/')}/") for each in known):
        return Substitutes()
    empty = folder / "lmcache-of-its-own.yaml"
    note = (
        f"{path} is not here, it is the image's or lies beside the model: replaced by an empty file, LMCache's defaults"
    )
    return Substitutes((note,), {CONFIG_FILE: str(empty)}, {empty: "{}\n"})


def connector(args: list[str], notify: int) -> list[str]:
    """The same arguments with loopback addresses in LMCache's settings, if the connector's configuration has any."""
    text = flag(args, _CONNECTOR)
    settings = json.loads(text) if text else {}
    extra = settings.get("kv_connector_extra_config", {})
    if "lmcache.pd_proxy_host" not in extra:
        return args
    moved = {**extra, "lmcache.pd_proxy_host": LOOPBACK, "lmcache.pd_proxy_port": notify}
    return with_flag(args, _CONNECTOR, json.dumps({**settings, "kv_connector_extra_config": moved}))
