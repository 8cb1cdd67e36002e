"""The flags of `dpd size`. Nothing heavy is imported here, for every command passes by."""

import argparse

from dpd.numbers import number, whole

ENGINE_FLAGS = (
    ("--tensor-parallel-size", "N", "tensor-parallel ranks of an engine"),
    ("--pipeline-parallel-size", "N", "pipeline-parallel stages of an engine"),
    ("--gpu-memory-utilization", "SHARE", "share of a GPU's memory the engine may take"),
    ("--max-model-len", "TOKENS", "longest sequence, prompt and answer together"),
    ("--max-num-seqs", "N", "sequences of one step"),
    ("--max-num-batched-tokens", "TOKENS", "tokens of one step"),
    ("--kv-cache-dtype", "TYPE", "type of KV values, such as fp8"),
)
_WORKLOAD = (
    (
        "--rate",
        number,
        "PER_SECOND",
        "requests in a second; with --input and --output, prefillers and decoders are counted",
    ),
    ("--input", whole, "TOKENS", "tokens of a prompt"),
    ("--output", whole, "TOKENS", "tokens of an answer"),
    ("--spread", number, "SHARE", "how far lengths lie from their mean, such as 0.5; default 0"),
    ("--ttft", number, "SECONDS", "wanted: nine of ten requests have their first token by then"),
    ("--tpot", number, "SECONDS", "wanted: nine of ten answers come a token in that time"),
)


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's commands."""
    parser = commands.add_parser(
        "size",
        help="say what a model takes and what fits",
        description="Say what a model takes on given GPUs, what a transfer buffer holds, and how many prefillers and "
        "decoders a workload needs.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", nargs="?", help="a manifest; - reads standard input")
    _model(parser)
    engine = parser.add_argument_group("engines, over what the manifest says")
    engine.add_argument("--instance-type", metavar="TYPE", help="such as ml.p5.48xlarge")
    for name, metavar, text in ENGINE_FLAGS:
        engine.add_argument(name, metavar=metavar, help=text)
    engine.add_argument("--buffer", metavar="SIZE", help="transfer buffer of each rank, such as 8Gi; PD_BUFFER_SIZE")
    engine.add_argument("--overhead", metavar="SIZE", help="what an engine takes beside weights and KV, if it was seen")
    engine.add_argument("--colocated", action="store_true", help="without a manifest: no prefillers and decoders")
    engine.add_argument("--tokenizer", action="store_true", help="the router counts tokens, and does not estimate them")
    workload = parser.add_argument_group("workload")
    for name, kind, metavar, text in _WORKLOAD:
        workload.add_argument(name, type=kind, metavar=metavar, help=text)
    workload.add_argument("--requests", type=whole, default=400, metavar="N", help="to simulate; default 400")
    workload.add_argument("--seed", type=whole, default=0, metavar="N", help="of their arrivals; default 0")
    workload.add_argument("--costs", metavar="FILE", help="JSON of measured costs of a step, in place of estimates")
    parser.add_argument("-o", "--output-format", choices=("table", "json"), default="table", help="default: table")


def _model(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model, when its name in the manifest is not enough")
    model.add_argument("--model", metavar="PATH", help="config.json, or the folder it lies in")
    for name, text in (
        ("--layers", "layers that keep KV"),
        ("--heads", "query heads"),
        ("--kv-heads", "heads of keys and values"),
        ("--head-dim", "values of one head"),
    ):
        model.add_argument(name, type=whole, metavar="N", help=text)
    model.add_argument("--weights", metavar="SIZE", help="bytes of all weights, such as 132Gi")
