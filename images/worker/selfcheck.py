"""Build-time check of the worker image: engine, cache and transfer library are there, and NIXL can load its plugins.

Usage: selfcheck.py NAME==VERSION…   Prints what it saw; exits 1 with every fault at once.
"""

import ctypes
import importlib
import importlib.metadata
import sys

LIBRARIES = ("libfabric.so.1", "libhwloc.so.15")
PLUGINS = ("LIBFABRIC", "UCX")


def distribution_faults(requirement: str) -> list[str]:
    """Faults of one `name==version`: not installed, another version, or not importable."""
    name, _, wanted = requirement.partition("==")
    try:
        found = importlib.metadata.version(name)
        importlib.import_module(name)
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        return [f"{name}: {error}; use a base image that has it"]
    print(f"{name} {found}")
    if found.split("+")[0] != wanted:
        return [f"{name}: version {found}, expected {wanted}; fix versions.env or the base image"]
    return []


def library_faults() -> list[str]:
    """Shared libraries that the dynamic loader cannot find."""
    faults = []
    for name in LIBRARIES:
        try:
            ctypes.CDLL(name)
        except OSError as error:
            faults.append(f"{name}: {error}; install it, NIXL's LIBFABRIC plugin loads it")
    return faults


def plugin_faults() -> list[str]:
    """NIXL plugins that the chart's configuration names and this image lacks."""
    api = importlib.import_module("nixl._api")
    agent = api.nixl_agent("selfcheck", api.nixl_agent_config(backends=[]))
    plugins = sorted(agent.get_plugin_list())
    print("NIXL plugins:", ", ".join(plugins))
    missing = [name for name in PLUGINS if name not in plugins]
    return [f"NIXL plugin {name}: not in this image; it has {', '.join(plugins)}" for name in missing]


def main(requirements: list[str]) -> int:
    """Run every check; returns the exit status."""
    faults = [fault for each in requirements for fault in distribution_faults(each)] + library_faults()
    if not faults:
        faults = plugin_faults()
    for fault in faults:
        print(f"selfcheck: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
