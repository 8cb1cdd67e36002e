"""dataCapture: what is captured is stored somewhere."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem

_CAPTURE: FieldPath = ("spec", "dataCapture")


def captures_have_a_place(endpoint: Endpoint) -> Iterator[Problem]:
    """Captures and access logs go to s3Uri, or to the bucket of the certificates."""
    tiers = [name for name in ("modelPod", "loadBalancer") if endpoint.part("dataCapture", name).get("enabled")]
    given = endpoint.part("dataCapture").get("s3Uri") or endpoint.part("tlsConfig").get("tlsCertificateOutputS3Uri")
    if tiers and not given and endpoint.is_sound(_CAPTURE) and endpoint.is_sound(("spec", "tlsConfig")):
        fact = f"required when {tiers[0]} is enabled and there is no tlsConfig.tlsCertificateOutputS3Uri"
        yield Problem((*_CAPTURE, "s3Uri"), fact, "add it")
