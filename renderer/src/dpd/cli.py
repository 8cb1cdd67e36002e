"""The `dpd` command: the only place that reads arguments, files and standard input, and that prints.

Exit codes: 0 all good, 1 a bad manifest, 2 bad usage (a missing file, an unwritable output, an unknown flag).
Imports are late so that `dpd --help` and shell completion stay quick.
"""

import argparse
from collections.abc import Sequence

from dpd import __version__
from dpd.doctor import arguments as doctor_flags
from dpd.explain import arguments as explain_flags
from dpd.size import arguments as size_flags

OK, BAD_MANIFEST, BAD_USAGE, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        arguments = parser().parse_args(argv)
        code = _run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        from dpd.commands import forget_output

        forget_output()
        return BROKEN_PIPE
    return code


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "size":
        from dpd.size.command import size

        return size(arguments)
    if arguments.command == "explain":
        from dpd.explain.command import explain

        return explain(arguments.field, arguments.output_format, is_schema=arguments.schema)
    if arguments.command == "doctor":
        from dpd.doctor.command import doctor

        return doctor(arguments)
    from dpd.commands import render, validate

    if arguments.command == "validate":
        return validate(arguments.files, is_strict=arguments.strict)
    return render(arguments.files, arguments.output, is_strict=arguments.strict)


def parser() -> argparse.ArgumentParser:
    """Build what reads the command line: every command and its flags."""
    built = argparse.ArgumentParser(
        prog="dpd",
        description="Turn an InferenceEndpointConfig into values for the dpd chart.",
        epilog="Exit codes: 0 all good, 1 a bad manifest, 2 bad usage.",
        allow_abbrev=False,
    )
    built.add_argument("--version", action="version", version=f"dpd {__version__}")
    commands = built.add_subparsers(dest="command", required=True, metavar="COMMAND")
    validate = commands.add_parser("validate", help="say everything that is wrong with manifests", allow_abbrev=False)
    validate.add_argument("files", nargs="+", metavar="FILE", help="a manifest; - reads standard input")
    render = commands.add_parser("render", help="write the values files of manifests", allow_abbrev=False)
    render.add_argument("files", nargs="+", metavar="FILE", help="a manifest; - reads standard input")
    render.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        default="-",
        help="a file, or a folder (PATH/, or one that exists) that gets NAMESPACE-NAME.yaml per endpoint, "
        "and then says which; default: standard output",
    )
    size_flags.add(commands)
    explain_flags.add(commands)
    doctor_flags.add(commands)
    for command in (validate, render):
        command.add_argument("--strict", action="store_true", help="treat warnings as errors")
    return built
