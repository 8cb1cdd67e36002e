"""The section `sagemaker`: the endpoint's name in the SageMaker Runtime API."""

import re

from dpd_router.config.section import Section

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_LONGEST = 63


def endpoint_name(root: Section) -> str:
    """Return the name that invocations are served for; empty when there is none."""
    with root.section("sagemaker") as section:
        name = section.text("endpointName") if section.has("endpointName") else ""
        if name and not (_NAME.fullmatch(name) and len(name) <= _LONGEST):
            section.problem(
                "endpointName", f"{name!r} is no endpoint's name", "use letters, digits and dashes, 63 of them"
            )
        return name
