"""The flags of `dpd doctor`. Nothing heavy is imported here, for every command passes by."""

import argparse

from dpd.numbers import seconds


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's commands."""
    parser = commands.add_parser(
        "doctor",
        help="say what is wrong with an endpoint that runs",
        description="Look at a running endpoint and say what is wrong with it: what was seen, and what to do.",
        epilog="Exit codes: 0 nothing is wrong, 1 a fault, 2 bad usage.",
        allow_abbrev=False,
    )
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help="an endpoint in a cluster")
    parser.add_argument(
        "-n", "--namespace", metavar="NAMESPACE", default="default", help="its namespace; default: default"
    )
    parser.add_argument(
        "--router-namespace",
        metavar="NAMESPACE",
        default="hyperpod-inference-system",
        help="where its router is; default: hyperpod-inference-system",
    )
    parser.add_argument("--kubeconfig", metavar="FILE", default="", help="default: $KUBECONFIG, or ~/.kube/config")
    parser.add_argument("--context", metavar="NAME", default="", help="of the kubeconfig; default: its current one")
    parser.add_argument("--local", metavar="FOLDER", default="", help="instead of NAME: what `make demo KEEP=1` prints")
    parser.add_argument("--probe", action="store_true", help="send a short and a long prompt first")
    parser.add_argument(
        "--key-file", metavar="FILE", default="", help="for --probe: an API key, where the router asks for one"
    )
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=seconds,
        default=0.0,
        help="look again until nothing is wrong, for so long at most, and say on standard error what it waits for",
    )
    parser.add_argument("-o", "--output-format", choices=("text", "json"), default="text", help="default: text")
