"""What `dpd size` does: reads the manifest, the model's configuration and measured costs, and prints."""

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dpd.checks import check_file
from dpd.commands import BAD_MANIFEST, BAD_USAGE, OK, UsageError, complain, load, print_text, report_problems
from dpd.contract import Contract
from dpd.endpoint import Endpoint
from dpd.package import contract_schema
from dpd.size.advice import Sized
from dpd.size.architecture import RefusedError
from dpd.size.asked import Found, model_for, overlaid, whole_bytes, without_manifest
from dpd.size.buffer import Buffer
from dpd.size.case import case_of
from dpd.size.flow.ratio import Targets
from dpd.size.flow.trace import Workload
from dpd.size.memory import memory_of
from dpd.size.plan import Question, answer
from dpd.size.report import report
from dpd.size.tables import text_of

_MOST_BYTES = 8 * 1024**2
_MOST_REQUESTS = 20000
_INDEX = "model.safetensors.index.json"
_CONFIGURATION = "give the file as Hugging Face writes it"
_COSTS = "give an object of numbers, as examples/models/costs.json has it"


def size(arguments: Namespace) -> int:
    """Size what the flags name and print it. Returns the exit code."""
    flags = vars(arguments)
    try:
        endpoints = _endpoints(arguments.file) if arguments.file else [without_manifest(flags)]
        if endpoints is None:
            return BAD_MANIFEST
        found = _found(arguments.model) if arguments.model else None
        question = _question(flags)
        reports = [_report(each, flags, found, question) for each in endpoints]
        print_text(_text(reports, as_json=arguments.output_format == "json"))
    except (UsageError, RefusedError) as error:
        complain(str(error))
        return BAD_USAGE
    return OK


def _text(reports: list[Any], *, as_json: bool) -> str:
    if as_json:
        return json.dumps(reports[0] if len(reports) == 1 else reports, indent=1) + "\n"
    return "\n".join(text_of(each) for each in reports)


def _endpoints(file: str) -> list[Endpoint] | None:
    """Return the endpoints of a manifest; None when something is wrong with it, which is said then."""
    checked = check_file(load(file), Contract(contract_schema()))
    if not checked.is_good:
        report_problems(file, [each for each in checked.problems if each.is_error])
        return None
    return list(checked.endpoints)


def _report(endpoint: Endpoint, flags: Mapping[str, Any], found: Found | None, question: Question | None) -> Any:
    endpoint = overlaid(endpoint, flags)
    model, name = model_for(endpoint, flags, found)
    case = case_of(endpoint, model, name)
    overhead = whole_bytes(flags["overhead"], "--overhead") if flags.get("overhead") else None
    memory = {each.role: memory_of(model, each, overhead) for each in case.engines}
    token_bytes = memory[case.decoder.role].token_bytes
    buffer = Buffer(case.buffer, token_bytes, case.routers) if case.buffer is not None else None
    sized = Sized(case, memory, buffer, case.counts_tokens or bool(flags.get("tokenizer")))
    return report(sized, answer(sized, question) if question else None)


def _found(path: str) -> Found:
    """Read a model's configuration, and what its index of files says of their size."""
    given = Path(path)
    file = given / "config.json" if given.is_dir() else given
    index = file.parent / _INDEX
    total = None
    if index.is_file():
        held = _json(index, _CONFIGURATION).get("metadata")
        total = held.get("total_size") if isinstance(held, dict) else None
    return Found(_json(file, _CONFIGURATION), str(file), total if type(total) is int and total > 0 else None)


def _json(file: Path, remedy: str) -> dict[str, Any]:
    """Read an object from a file, which may be one that never ends. Raises UsageError with the remedy."""
    with _readable(file, remedy), file.open("rb") as opened:
        data = opened.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise UsageError(f"{file}: larger than {_MOST_BYTES // 1024**2} MiB; {remedy}")
        held = json.loads(data)
    if not isinstance(held, dict):
        raise UsageError(f"{file}: is no JSON object; {remedy}")
    return held


@contextmanager
def _readable(file: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{file}: {str(error.strerror).lower()}; give the path of a JSON file") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{file}: is not JSON; {remedy}") from None


def _question(flags: Mapping[str, Any]) -> Question | None:
    """Return what to simulate; None when no workload is given. Raises UsageError for half a one."""
    needed = {name: flags[name] for name in ("rate", "input", "output")}
    if all(value is None for value in needed.values()):
        _nothing_asked_of_a_workload(flags)
        return None
    for name, value in needed.items():
        if value is None or not 0 < value < float("inf"):
            given = "missing beside the others of a workload" if value is None else f"{value:g} is nothing to serve"
            raise UsageError(f"--{name}: {given}; give --rate, --input and --output, each above 0")
    if not 0 < flags["requests"] <= _MOST_REQUESTS:
        raise UsageError(f"--requests: {flags['requests']} cannot be simulated; give 1 to {_MOST_REQUESTS}")
    spread = flags["spread"] or 0.0
    if not 0 <= spread < 1:
        raise UsageError(f"--spread: {spread:g} is no share; give 0 or more, below 1")
    for name in ("ttft", "tpot"):
        if flags[name] is not None and not 0 < flags[name] < float("inf"):
            raise UsageError(f"--{name}: {flags[name]:g} is no time to keep; give seconds above 0")
    costs = _json(Path(flags["costs"]), _COSTS) if flags["costs"] else {}
    workload = Workload(needed["rate"], needed["input"], needed["output"], spread)
    targets = Targets(flags["ttft"], flags["tpot"])
    return Question(workload, targets, flags["requests"], flags["seed"], costs, flags["costs"] or "costs")


def _nothing_asked_of_a_workload(flags: Mapping[str, Any]) -> None:
    """Raise UsageError for a flag that only a workload gives a meaning to."""
    for name in ("spread", "ttft", "tpot", "costs"):
        if flags[name] is not None:
            raise UsageError(
                f"--{name}: says something of a workload, and there is none; give --rate, --input and --output"
            )
