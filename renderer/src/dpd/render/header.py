"""The comment on top of a values file: what made it, and what to do next. No clock, so bytes stay the same."""

from dpd import __version__
from dpd.endpoint import Endpoint


def header(endpoint: Endpoint, file_name: str) -> tuple[str, ...]:
    """Return the comment lines for values written to a file of this name."""
    where = f" of namespace {endpoint.namespace}" if endpoint.namespace else ""
    namespace = f" --namespace {endpoint.namespace}" if endpoint.namespace else ""
    return (
        f"Values of the endpoint {endpoint.name}{where} for the dpd chart, made by `dpd render` {__version__}",
        "from its InferenceEndpointConfig: change that and render again, or own this file from here on.",
        f"Next: helm install {endpoint.name} charts/dpd{namespace} -f {file_name}",
    )
