"""modelSourceConfig: the type, the section that belongs to it, and what that section cannot do without."""

import re
from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem, shown, warning

_SOURCE: FieldPath = ("spec", "modelSourceConfig")
_BUCKET_NAME: FieldPath = (*_SOURCE, "s3Storage", "bucketName")
_BUCKET = re.compile(r"(?!\d+\.\d+\.\d+\.\d+\Z)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
# Until 2018 buckets of us-east-1 could be called so.
_OLD_BUCKET, _OLD_REGION = re.compile(r"[A-Za-z0-9._-]{3,255}\Z"), "us-east-1"
# An access point, which may stand for its bucket.
_ARN = "arn:"
_SECTIONS = {"s3": "s3Storage", "fsx": "fsxStorage", "huggingface": "huggingFaceModel"}


def section_matches_type(endpoint: Endpoint) -> Iterator[Problem]:
    """The section of the type is there, and no other."""
    source = endpoint.part("modelSourceConfig")
    kind = source.get("modelSourceType")
    if kind is None or not endpoint.is_sound(_SOURCE):
        return
    wanted = _SECTIONS.get(kind)
    others = [section for section in _SECTIONS.values() if section in source and section != wanted]
    if wanted and wanted not in source:
        remedy = f"add it, or change modelSourceType ({others[0]} is given)" if others else "add it"
        yield Problem((*_SOURCE, wanted), f"required when modelSourceType is {kind}", remedy)
    else:
        if kind == "fsx" and not source["fsxStorage"].get("dnsName"):
            fact = "not given, and the chart cannot ask FSx for it: helm will refuse the values"
            yield warning((*_SOURCE, "fsxStorage", "dnsName"), fact, "add it, `aws fsx describe-file-systems` says it")
        for each in others:
            yield warning((*_SOURCE, each), f"not used when modelSourceType is {kind}", "remove it")


def token_has_a_secret(endpoint: Endpoint) -> Iterator[Problem]:
    """A token's reference names its Secret: the contract allows an empty name, Kubernetes does not."""
    token = endpoint.part("modelSourceConfig", "huggingFaceModel").get("tokenSecretRef")
    if token is not None and not token.get("name"):
        where = (*_SOURCE, "huggingFaceModel", "tokenSecretRef", "name")
        yield Problem(where, "empty, and Kubernetes looks a Secret up by its name", "write the Secret's name")


def commit_is_pinned(endpoint: Endpoint) -> Iterator[Problem]:
    """Workers that start at different times hold the same weights."""
    source = endpoint.part("modelSourceConfig")
    several = endpoint.is_disaggregated or any(role.replicas > 1 for role in endpoint.roles)
    model = source.get("huggingFaceModel")
    if several and source.get("modelSourceType") == "huggingface" and model is not None and "commitSHA" not in model:
        fact = "not given: a worker that starts after a new commit serves other weights than the ones beside it"
        yield warning(
            (*_SOURCE, "huggingFaceModel", "commitSHA"), fact, "write the commit of the model that you tested"
        )


def location_is_read(endpoint: Endpoint) -> Iterator[Problem]:
    """A Hugging Face model has no location besides its id."""
    source = endpoint.part("modelSourceConfig")
    if source.get("modelSourceType") == "huggingface" and source.get("modelLocation"):
        yield warning((*_SOURCE, "modelLocation"), "not used when modelSourceType is huggingface", "remove it")


def lustre_mount_has_a_name(endpoint: Endpoint) -> Iterator[Problem]:
    """Only the oldest Lustre file systems are called fsx."""
    storage = endpoint.part("modelSourceConfig").get("fsxStorage")
    is_read = endpoint.part("modelSourceConfig").get("modelSourceType") == "fsx"
    if is_read and storage is not None and not storage.get("mountName"):
        fact = "not given: it is taken to be fsx, as only SCRATCH_1 file systems are called"
        yield warning((*_SOURCE, "fsxStorage", "mountName"), fact, "add it, `aws fsx describe-file-systems` says it")


def location_stays_inside(endpoint: Endpoint) -> Iterator[Problem]:
    """No location leads out of the source: it becomes a sub-path of a volume, or the beginning of keys."""
    source = endpoint.part("modelSourceConfig")
    location = source.get("modelLocation") or ""
    if source.get("modelSourceType") != "huggingface" and ".." in location.split("/"):
        fact = f"{shown(location)} has .. in it, and Kubernetes mounts no such path"
        yield Problem((*_SOURCE, "modelLocation"), fact, "write the model's folder as seen from the top of its source")


def bucket_has_a_name(endpoint: Endpoint) -> Iterator[Problem]:
    """The name is one that S3 gives, or stands for an access point; a line break at its end is another rule's."""
    storage = endpoint.part("modelSourceConfig", "s3Storage")
    name = storage.get("bucketName")
    if name is None or _BUCKET.match(name) or name.startswith(_ARN) or name.endswith("\n"):
        return
    if storage.get("region") == _OLD_REGION and _OLD_BUCKET.match(name):
        return
    remedy = "use 3 to 63 lower-case letters, digits, dots and dashes, a letter or digit at both ends"
    if "/" in name:
        remedy = "write the bucket's name alone, and the folder in it as modelLocation"
    yield Problem(_BUCKET_NAME, f"{shown(name)} is no name of an S3 bucket", remedy)
