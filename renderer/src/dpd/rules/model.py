"""Which model: disaggregation pays for large dense ones. Only names can be looked at, so this is advice."""

import re
from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem, shown, warning

_LARGE_BILLIONS = 70
_BILLIONS = re.compile(r"(?<![a-z0-9.])(\d{1,4}(?:\.\d+)?)b(?![a-z0-9])")
_MIXTURE = re.compile(
    r"mixtral|\d+x\d+(\.\d+)?b|(?<![a-z])moe(?![a-z])|(?<![a-z0-9])a\d{1,3}(\.\d+)?b(?![a-z0-9])|gpt-oss|dbrx|arctic"
    r"|deepseek-?(v2|v3|r1)(?!-distill)|llama-?4|scout|maverick|kimi-?k2|minimax|jamba|grok|glm-?4\.5"
)


def model_gains_from_pd(endpoint: Endpoint) -> Iterator[Problem]:
    """Small and mixture-of-experts models run as well colocated."""
    if not endpoint.is_disaggregated:
        return
    for path, name in _names(endpoint):
        found = _why_not(name.casefold())
        if found:
            fact = f"{shown(name)} looks like {found}, which seldom gains from pdSpec"
            yield warning(path, fact, "measure it against a colocated endpoint, without pdSpec")
            return


def _why_not(name: str) -> str | None:
    if _MIXTURE.search(name):
        return "a mixture-of-experts model"
    sizes = [float(each) for each in _BILLIONS.findall(name)]
    if sizes and max(sizes) < _LARGE_BILLIONS:
        return f"a model of {max(sizes):g} billion parameters"
    return None


def _names(endpoint: Endpoint) -> Iterator[tuple[FieldPath, str]]:
    source = endpoint.part("modelSourceConfig")
    yield ("spec", "modelName"), endpoint.spec.get("modelName") or ""
    yield ("spec", "modelSourceConfig", "modelLocation"), source.get("modelLocation") or ""
    model_id = endpoint.part("modelSourceConfig", "huggingFaceModel").get("modelId") or ""
    yield ("spec", "modelSourceConfig", "huggingFaceModel", "modelId"), model_id
