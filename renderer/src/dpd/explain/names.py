"""A field as people write it → the keys it consists of. Lists are passed through: `tags[0].name` is `tags.name`."""

import re

_STEP = re.compile(r"\[\s*(?:[0-9]*|\"([^\"]*)\"|'([^']*)')\s*\]|([^.\[\]]+)")


def steps_of(text: str) -> tuple[str, ...]:
    """Return the keys of a path such as `spec.worker.args[3]` or `resources.limits["nvidia.com/gpu"]`."""
    found = []
    for match in _STEP.finditer(text.strip().strip(".")):
        key = match[1] or match[2] or match[3]
        if key:
            found.append(key.strip())
    return tuple(found)
