"""The way in from outside: what stands before an endpoint leads to its pods, and an API server takes all of it."""

from pathlib import Path
from typing import Any

import pytest

from chart.helm import Manifest, manifests, of_kind, pod_spec, role_of, shape_name, shapes, template
from chart.test_network import STRANGER, is_open, pod_of
from support.direct import Direct
from support.paths import CHART

PAGE = CHART / "ci" / "shapes" / "dpd-values.yaml"
COLOCATED = CHART / "ci" / "shapes" / "colocated-values.yaml"
ACM = (
    "tlsConfig.customCertificateConfig.acmArn=arn:aws:acm:us-west-2:123456789012:certificate/0123-abcd,"
    "tlsConfig.customCertificateConfig.domainName=llm.example.com,dnsConfig.hostedZoneId=Z0123456789ABC"
)
KINDS = {
    "alb": "edge.kind=alb",
    "alb-of-a-group": f"{ACM},edge.alb.group=shared,edge.alb.scheme=internet-facing",
    "alb-with-a-certificate": ACM,
    "alb-without-a-certificate": "tlsConfig.tlsCertificateOutputS3Uri=s3://certificates/here",
    "ingress": "edge.kind=ingress,edge.ingress.className=nginx",
    "ingress-with-tls": f"edge.kind=ingress,{ACM}",
    "ingress-with-a-secret": "edge.kind=ingress,edge.tls.secretName=mine,edge.host=llm.example.com",
    "gateway-that-is-there": "edge.kind=gateway,edge.gateway.parentRefs[0].name=shared,"
    "edge.gateway.parentRefs[0].namespace=infra,edge.gateway.parentRefs[0].port=443",
    "gateway-of-its-own": "edge.kind=gateway,edge.gateway.className=envoy",
    "gateway-with-tls": f"edge.kind=gateway,edge.gateway.className=envoy,{ACM}",
    "gateway-with-an-issuer": f"edge.kind=gateway,edge.gateway.className=envoy,{ACM},"
    "edge.tls.issuerRef.name=letsencrypt,edge.tls.issuerRef.kind=ClusterIssuer",
}
EDGES = {"Ingress", "HTTPRoute", "Gateway", "Certificate", "Issuer", "CronJob"}


def backends(documents: list[Manifest]) -> list[tuple[str, str, int]]:
    """Namespace, Service and port behind every Ingress and route."""
    found = []
    for each in of_kind(documents, "Ingress"):
        paths = [path for rule in each["spec"]["rules"] for path in rule["http"]["paths"]]
        services = [path["backend"]["service"] for path in paths]
        found += [(each["metadata"]["namespace"], one["name"], one["port"]["number"]) for one in services]
    for each in of_kind(documents, "HTTPRoute"):
        refs = [ref for rule in each["spec"]["rules"] for ref in rule["backendRefs"]]
        found += [(each["metadata"]["namespace"], ref["name"], ref["port"]) for ref in refs]
    return found


def container_port(deployment: Manifest, target: Any) -> int:
    """The number of a Service's target port."""
    ports = [port for each in pod_spec(deployment)["containers"] for port in each.get("ports", [])]
    (number,) = [each["containerPort"] for each in ports if target in (each.get("name"), each["containerPort"])]
    return int(number)


def require_way_in(documents: list[Manifest]) -> None:
    """Every backend is a Service of its own namespace, with that port, and strangers may reach its pods on it."""
    for namespace, name, port in backends(documents):
        (service,) = [
            each
            for each in of_kind(documents, "Service")
            if (each["metadata"]["namespace"], each["metadata"]["name"]) == (namespace, name)
        ]
        (target,) = [each["targetPort"] for each in service["spec"]["ports"] if each["port"] == port]
        pods = [
            each
            for each in of_kind(documents, "Deployment")
            if each["metadata"]["namespace"] == namespace
            and pod_of(each).has({"matchLabels": service["spec"]["selector"]})
        ]
        assert pods, f"{name} selects nothing"
        for each in pods:
            assert is_open(documents, STRANGER, pod_of(each), container_port(each, target))


@pytest.mark.parametrize("values", shapes(), ids=shape_name)
def test_what_stands_before_a_shape_leads_to_its_pods(values: Path) -> None:
    require_way_in(manifests(template("helm", values)))


@pytest.mark.parametrize("values", [PAGE, COLOCATED], ids=["disaggregated", "colocated"])
@pytest.mark.parametrize("flags", KINDS.values(), ids=KINDS)
def test_every_kind_of_edge_leads_to_pods_and_an_api_server_takes_it(values: Path, flags: str, direct: Direct) -> None:
    documents = manifests(template("helm", values, "--set", flags))
    assert len(backends(documents)) == 1
    require_way_in(documents)
    objections = {each["kind"]: direct.objections(each) for each in documents if each["kind"] in EDGES}
    assert {kind: said for kind, said in objections.items() if said} == {}


@pytest.mark.parametrize("values", [PAGE, COLOCATED], ids=["disaggregated", "colocated"])
def test_an_endpoint_is_the_same_inside_whatever_stands_before_it(values: Path) -> None:
    def inside(flags: str) -> list[Manifest]:
        documents = manifests(template("helm", values, "--set", flags))
        return [each for each in documents if each["kind"] not in EDGES | {"Service"}]

    assert inside("edge.kind=alb") == inside("edge.kind=ingress") == inside("edge.kind=none")


def test_there_is_no_way_in_that_nobody_asked_for() -> None:
    documents = manifests(template("helm", COLOCATED))
    assert backends(documents) == []
    assert not [each for each in documents if each["kind"] in EDGES]


def test_the_router_is_reached_on_a_port_of_its_own_only_where_something_stands_before_it() -> None:
    def ports(flags: str) -> list[int]:
        documents = manifests(template("helm", PAGE, "--set", flags))
        (router,) = [each for each in of_kind(documents, "Deployment") if role_of(each) == "router"]
        (service,) = [
            each
            for each in of_kind(documents, "Service")
            if pod_of(router).has({"matchLabels": each["spec"]["selector"]})
        ]
        return [each["port"] for each in service["spec"]["ports"]]

    assert ports("edge.kind=none") == [443, 7500]
    assert ports("edge.kind=alb") == [443, 80, 7500]
