"""The flags of `dpd doctor`. Nothing heavy is imported here, for every command passes by."""

import argparse


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's commands."""
    parser = commands.add_parser(
        "doctor",
        help="say what is wrong with an endpoint that runs",
        description="Look at a running endpoint and say what is wrong with it: what was seen, and what to do.",
        epilog="Exit codes: 0 nothing is wrong, 1 a fault, 2 bad usage.",
        allow_abbrev=False,
    )
    parser.add_argument("--local", metavar="FOLDER", required=True, help="the folder that `make demo KEEP=1` prints")
    parser.add_argument("--probe", action="store_true", help="send a short and a long prompt first")
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=float,
        default=0.0,
        help="look again until nothing is wrong, for so long at most, and say on standard error what it waits for",
    )
    parser.add_argument("-o", "--output-format", choices=("text", "json"), default="text", help="default: text")
