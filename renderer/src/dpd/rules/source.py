"""modelSourceConfig: the type and the section that belongs to it."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem, warning

_SOURCE: FieldPath = ("spec", "modelSourceConfig")
_SECTIONS = {"s3": "s3Storage", "fsx": "fsxStorage", "huggingface": "huggingFaceModel"}


def section_matches_type(endpoint: Endpoint) -> Iterator[Problem]:
    """The section of the type is there, and no other."""
    source = endpoint.part("modelSourceConfig")
    kind = source.get("modelSourceType")
    if kind is None or not endpoint.is_sound(_SOURCE):
        return
    wanted = _SECTIONS.get(kind)
    others = [section for section in _SECTIONS.values() if section in source and section != wanted]
    if wanted and wanted not in source:
        remedy = f"add it, or change modelSourceType ({others[0]} is given)" if others else "add it"
        yield Problem((*_SOURCE, wanted), f"required when modelSourceType is {kind}", remedy)
    else:
        if kind == "fsx" and not source["fsxStorage"].get("dnsName"):
            fact = "not given, and the chart cannot ask FSx for it: helm will refuse the values"
            yield warning((*_SOURCE, "fsxStorage", "dnsName"), fact, "add it, `aws fsx describe-file-systems` says it")
        for each in others:
            yield warning((*_SOURCE, each), f"not used when modelSourceType is {kind}", "remove it")
