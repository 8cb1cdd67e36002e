"""The flags of `dpd explain`. Nothing heavy is imported here, for every command passes by."""

import argparse


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's commands."""
    parser = commands.add_parser(
        "explain",
        help="say what a field is and what it does here",
        description="Say what a field of an InferenceEndpointConfig is, and what it does here and where.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "field",
        metavar="FIELD",
        nargs="?",
        default="",
        help="such as spec.pdSpec.routingThreshold, pdSpec.routingThreshold or routingThreshold; default: the document",
    )
    parser.add_argument("-o", "--output-format", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("--schema", action="store_true", help="write the contract's JSON schema, for an editor")
