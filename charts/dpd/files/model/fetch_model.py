"""Brings a model into a folder, whole or not at all; an init container of a worker starts it.

    fetch_model.py copy /model-source --to /opt/ml/model
    fetch_model.py hub org/model@commit --to /opt/ml/model        (HF_TOKEN, HF_ENDPOINT)
    fetch_model.py s3 s3://bucket/prefix --region R --to /opt/ml/model   (AWS_…)

It may be ended at any time: the next run goes on from the pieces that were written.
"""

import argparse
import logging
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from model_files import FetchError, Source
from model_folder import Folder
from model_http import Client
from model_hub import Hub
from model_s3 import Bucket
from model_store import Store
from model_transfer import fetch

_HUB = "https://huggingface.co"
_FULL = "raise prefetch.sizeLimit in the values, or the memory or disk behind it"


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description="Bring a model into a folder.")
    parser.add_argument("kind", choices=("copy", "hub", "s3"))
    parser.add_argument("source", help="a folder, org/model@commit, or s3://bucket/prefix")
    parser.add_argument("--to", required=True, type=Path, help="folder that the model comes to lie in")
    parser.add_argument("--parallel", type=int, default=16, help="pieces on their way at once")
    parser.add_argument("--piece-bytes", type=int, default=256 * 1024**2, help="size of what is remembered as written")
    parser.add_argument("--attempts", type=int, default=8, help="failures in a row before it gives up")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds before the first new attempt")
    parser.add_argument("--region", default="", help="region of the bucket")
    parser.add_argument("--endpoint", default="", help="address of an S3-compatible service that is not AWS's")
    return parser


def source_of(given: argparse.Namespace, environment: Mapping[str, str]) -> Source:
    """Build the source that the command line names; raises FetchError when it cannot be understood."""
    log = logging.getLogger("model").info
    if given.kind == "copy":
        return Folder(Path(given.source), given.attempts, given.pause, log)
    client = Client(given.attempts, given.pause, log)
    if given.kind == "hub":
        model, _, revision = given.source.partition("@")
        endpoint = environment.get("HF_ENDPOINT") or _HUB
        return Hub(endpoint, model, revision or "main", environment.get("HF_TOKEN"), client, log)
    found = re.fullmatch(r"s3://([^/]+)/?(.*)", given.source)
    if found is None:
        raise FetchError(f"{given.source}: no address of a bucket; write s3://bucket/prefix")
    return Bucket(found[1], found[2], given.region, given.endpoint, client, environment)


def main(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Fetch; returns 0, or 1 after saying on standard error what is wrong."""
    given = arguments().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, _leave)
    try:
        given.to.mkdir(parents=True, exist_ok=True)
        store = Store(given.to, given.piece_bytes, _FULL)
        fetch(source_of(given, environment), store, given.parallel, logging.getLogger("model").info)
    except FetchError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename or given.to}: {error.strerror}; look at the volume and who may write to it")
    return 0


def _failed(text: str) -> int:
    logging.getLogger("model").error("%s", text)
    return 1


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End at once: as a container's first process it would otherwise not end before it is killed."""
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
