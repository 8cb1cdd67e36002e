"""What the contract's patterns mean in words: a fact about the value that does not match, and how to write it instead.

A pattern that is not listed is shown as it is; a test keeps this table complete for what people write.
"""

_NAME = ("is not a DNS name", "use lower-case letters, digits and dashes, with a letter or digit at both ends")
_S3 = ("is not an S3 address", "write it as in s3://bucket/prefix")
_MODEL_NAME = ("is not a name SageMaker takes", "use letters, digits and dashes, beginning with a letter or digit")

WORDS: dict[str, tuple[str, str]] = {
    r"^ml\..*": ("is not a SageMaker instance type", "write it with its prefix, as in ml.p5.48xlarge"),
    r"^/.*": ("is not an absolute path", "start it with /"),
    r"^/[a-zA-Z0-9\-_./]*$": ("is not an absolute path", "start it with /, without spaces or a query"),
    r"^[0-9a-f]{40}$": ("is not a full commit", "write all 40 hexadecimal digits"),
    r"^[a-zA-Z0-9_.-]+/[a-zA-Z0-9_.-]+$": ("is not a Hugging Face model", "write organisation/model"),
    r"^Z[A-Z0-9]+$": ("is not a hosted zone", "write its id, as in Z0123456789ABC"),
    r"^http$|^grpc$": ("is not a port name of the contract", "write http or grpc"),
    r"(?i)redis|tieredstorage": ("is not a cache backend", "write redis or tieredstorage"),
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": _NAME,
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$": _NAME,
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$": _NAME,
    r"^s3://([^/]+)(/[^,=]*)?$": _S3,
    r"^s3://([^/]+)/?(.*)$": _S3,
    r"^[a-zA-Z0-9:/_-]*$": ("is not a KMS key", "write its id, its ARN or its alias"),
    r"^arn:aws:acm:[a-z0-9-]+:[0-9]{12}:certificate/[a-fA-F0-9-]+$": (
        "is not the ARN of an ACM certificate",
        "write it as in arn:aws:acm:us-west-2:123456789012:certificate/0123-abcd",
    ),
    r"^https://aps-workspaces\.[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*\.amazonaws\.com/workspaces/ws-[a-zA-Z0-9-]+$|^$": (
        "is not an Amazon Managed Prometheus workspace",
        "write it as in https://aps-workspaces.us-west-2.amazonaws.com/workspaces/ws-0123abcd",
    ),
    r"^$|^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$": _MODEL_NAME,
    r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}": _MODEL_NAME,
}
QUANTITY_MARK = "KMGTPE"
QUANTITY = ("is not a quantity", 'write a number with an optional unit, as in 8, "500m" or 64Gi')


def words(pattern: str) -> tuple[str, str] | None:
    """Return fact and remedy for a value that does not match `pattern`, or None when the pattern has no words."""
    return QUANTITY if QUANTITY_MARK in pattern else WORDS.get(pattern)
