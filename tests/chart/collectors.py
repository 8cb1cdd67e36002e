"""The collector configurations that the chart draws, as tests/cases has them in its goldens."""

import json
from typing import Any

from chart.helm import manifests, of_kind
from support.paths import CASES

Config = dict[str, Any]


def drawn() -> dict[str, Config]:
    """Return every distinct configuration, by the first case that has it and its ConfigMap's name."""
    seen: dict[str, str] = {}
    found: dict[str, Config] = {}
    for case in sorted(CASES.glob("accept/*/manifests.yaml")):
        for each in of_kind(manifests(case.read_text()), "ConfigMap"):
            text = each["data"].get("config.yaml", "")
            (config,) = manifests(text) if text else ({},)
            if "receivers" not in config or seen.setdefault(text, case.parent.name) != case.parent.name:
                continue
            found[f"{case.parent.name}: {each['metadata']['name']}"] = json.loads(json.dumps(config))
    return found
