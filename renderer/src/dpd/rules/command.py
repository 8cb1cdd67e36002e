"""worker.command: roles change and add arguments, so these must reach the engine and stand where roles find them."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem, warning

_COMMAND: FieldPath = ("spec", "worker", "command")
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh"})
_PASSED_ON = ("$@", "$*")


def arguments_reach_the_engine(endpoint: Endpoint) -> Iterator[Problem]:
    """A shell script drops its arguments unless it passes them on."""
    command: list[str] = endpoint.part("worker").get("command") or []
    is_script = bool(command) and command[0].rpartition("/")[2] in _SHELLS and "-c" in command
    if endpoint.is_disaggregated and is_script and not any(each in text for text in command for each in _PASSED_ON):
        fact = "is a shell script that drops its arguments, so what pdSpec adds to them never reaches the engine"
        yield warning(_COMMAND, fact, 'end the script with: exec vllm serve "$@"')


def flags_stand_in_args(endpoint: Endpoint) -> Iterator[Problem]:
    """Flags inside the command are out of reach: roles cannot replace them, and ranks are not counted from them."""
    command: list[str] = endpoint.part("worker").get("command") or []
    for index, token in enumerate(command):
        if endpoint.is_disaggregated and token.startswith("--"):
            fact = f"{token.partition('=')[0]} stands in the command, where roles cannot replace it"
            yield warning((*_COMMAND, index), fact, "move it to worker.args")
