"""What `dpd validate` and `dpd render` do, between the command line and the pure stages."""

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dpd import render as rendering
from dpd.checks import Checked, check_file
from dpd.contract import Contract
from dpd.endpoint import DEFAULT_NAMESPACE, Endpoint
from dpd.output import write_all
from dpd.package import contract_schema
from dpd.problems import Problem, shown
from dpd.reader import MAX_BYTES
from dpd.yamlout import write

OK, BAD_MANIFEST, BAD_USAGE = 0, 1, 2
STDIN = "-"
_DEFAULT_NAME = "values.yaml"
_NO_MANIFEST = {
    errno.ENOENT: "no such file; give the path of an InferenceEndpointConfig",
    errno.EISDIR: "is a folder; give the path of an InferenceEndpointConfig in it",
    errno.EACCES: "may not be read; give yourself the right to: chmod u+r",
}
_NO_OUTPUT = {
    errno.EACCES: "may not be written; give yourself the right to: chmod u+w, or give another path to -o",
    errno.EISDIR: "is a folder; give the path of a file to -o",
    errno.EROFS: "lies on a file system that is read-only; give another path to -o",
    errno.ENOSPC: "no space is left on the device; make room, or give another path to -o",
    errno.ENAMETOOLONG: "the name is too long; give a shorter one to -o",
}


class UsageError(Exception):
    """The command cannot do what it was asked to; the message says why."""


def validate(files: Iterable[str], *, is_strict: bool) -> int:
    """Check every file and print all problems. Returns the exit code."""
    code = OK
    try:
        for file, checked in _checked(files, Contract(contract_schema()), is_strict=is_strict):
            code = max(code, _code(checked))
            if checked is not None and checked.is_good:
                print_text(f"{_shown_name(file)}: {_count(checked)}, valid\n")
    except UsageError as error:
        complain(str(error))
        return BAD_USAGE
    return code


def render(files: Iterable[str], output: str, *, is_strict: bool) -> int:
    """Check files and write the values of their endpoints, if nothing is wrong with any. Returns the exit code."""
    contract = Contract(contract_schema())
    try:
        if not output:
            raise UsageError("-o: the path is empty; give a file, a folder (PATH/), or - for standard output")
        found = list(_checked(files, contract, is_strict=is_strict))
        code = max(_code(checked) for _, checked in found)
        if code == OK:
            _write_values(output, _endpoints(found), contract)
    except UsageError as error:
        complain(str(error))
        return BAD_USAGE
    return code


def _checked(files: Iterable[str], contract: Contract, *, is_strict: bool) -> Iterator[tuple[str, Checked | None]]:
    """Yield each file with what it says, None where it cannot be read, and print what there is to say against it."""
    has_read_stdin = False
    for file in files:
        checked = None
        try:
            if file == STDIN and has_read_stdin:
                raise UsageError("standard input is given twice, and can be read once; write - only once")
            has_read_stdin = has_read_stdin or file == STDIN
            checked = check_file(load(file), contract, is_strict=is_strict)
            report_problems(file, checked.problems)
        except UsageError as error:
            complain(str(error))
        yield file, checked


def _code(checked: Checked | None) -> int:
    if checked is None:
        return BAD_USAGE
    return OK if checked.is_good else BAD_MANIFEST


def _endpoints(found: Iterable[tuple[str, Checked | None]]) -> tuple[Endpoint, ...]:
    """Return the endpoints of all files. Raises UsageError where two files describe the same one."""
    first: dict[tuple[str, str], str] = {}
    endpoints = [(file, each) for file, checked in found if checked for each in checked.endpoints]
    for file, each in endpoints:
        namespace = each.namespace or DEFAULT_NAMESPACE
        other = first.setdefault((namespace, each.name), file)
        if other != file:
            fact = f"{each.name} in namespace {namespace} is already described in {_shown_name(other)}"
            raise UsageError(f"{_shown_name(file)}: {fact}; rename one, or leave one of the files out")
    return tuple(each for _, each in endpoints)


def _write_values(output: str, endpoints: tuple[Endpoint, ...], contract: Contract) -> None:
    if output == STDIN:
        print_text("---\n".join(_text(each, _DEFAULT_NAME, contract) for each in endpoints))
        return
    with _usage_errors(output, _NO_OUTPUT, "give another path to -o"):
        targets = _targets(output, endpoints)
        _write({path: _text(each, path.name, contract) for path, each in targets.items()})
    if Path(output) not in targets:
        print_text("".join(f"wrote {path}\n" for path in targets))


def _text(endpoint: Endpoint, file_name: str, contract: Contract) -> str:
    return write(rendering.header(endpoint, file_name), rendering.values(endpoint, contract.spec_keys))


def _targets(output: str, endpoints: tuple[Endpoint, ...]) -> Mapping[Path, Endpoint]:
    path = Path(output)
    if output.endswith("/") or path.is_dir():
        return {path / f"{each.namespace or DEFAULT_NAMESPACE}-{each.name}.yaml": each for each in endpoints}
    if len(endpoints) > 1:
        fact = f"{len(endpoints)} endpoints do not fit one values file"
        raise UsageError(f"{output}: {fact}; give a folder instead: -o {path.with_suffix('')}/")
    return {path: endpoints[0]}


def _write(texts: Mapping[Path, str]) -> None:
    for folder in {path.parent for path in texts}:
        if not folder.is_dir():
            raise UsageError(f"{folder}/: no such folder; make it first: mkdir -p {folder}")
    write_all(texts)


def load(file: str) -> bytes:
    """Read at most one byte more than a manifest may have. Raises UsageError."""
    if file == STDIN and sys.stdin is None:
        raise UsageError("standard input is closed; give the path of a file instead of -")
    if not file:
        raise UsageError("FILE is empty; give the path of an InferenceEndpointConfig")
    with _usage_errors(_shown_name(file), _NO_MANIFEST, "give the path of an InferenceEndpointConfig"):
        if file == STDIN:
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with Path(file).open("rb") as opened:
            return opened.read(MAX_BYTES + 1)


@contextmanager
def _usage_errors(name: str, known: Mapping[int, str], remedy: str) -> Iterator[None]:
    """What the system says about a path becomes a usage error. A reader that went away is no error of the path.

    known: fact and remedy by errno; remedy: what to do about any other.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        fact = str(error.strerror).lower()
        said = known.get(error.errno or 0, f"{fact}; {remedy}")
        raise UsageError(f"{name}: {said}") from None
    except ValueError as error:
        raise UsageError(f"{shown(name)}: {error}; {remedy}") from None


def report_problems(file: str, problems: Iterable[Problem]) -> None:
    """Print problems of a file to standard error, one a line."""
    for each in problems:
        prefix = "" if each.is_error else "warning: "
        tell(f"{prefix}{_shown_name(file)}:{each.line or 1}: {each.text}")


def _shown_name(file: str) -> str:
    return "stdin" if file == STDIN else file


def _count(checked: Checked) -> str:
    found = len(checked.endpoints)
    return f"{found} endpoint{'' if found == 1 else 's'}"


def print_text(text: str) -> None:
    """Write UTF-8 to standard output whatever the locale is. Raises UsageError."""
    if sys.stdout is None:
        raise UsageError("standard output is closed; open it, or give a path to -o")
    with _usage_errors("standard output", _NO_OUTPUT, "send it elsewhere"):
        try:
            sys.stdout.buffer.write(text.encode("utf-8"))
            sys.stdout.buffer.flush()
        except OSError:
            forget_output()
            raise


def forget_output() -> None:
    """Have what standard output could not take go nowhere: the interpreter would try it again while it shuts down, and
    end with an exit code of its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str) -> None:
    """Say on standard error why the command cannot do what it was asked to."""
    tell(f"dpd: {text}")


def tell(text: str) -> None:
    """Write a line to standard error. Where that is closed nobody is told, for print would put it into the output."""
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
