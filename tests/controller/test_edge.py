"""What the status says of certificates and records, which others make: as tables, and with the API server."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.cluster import SYSTEM, Tenant, case
from dpd_operator.core import edge

NOW = datetime(2030, 1, 1, tzinfo=UTC)
INSTANT = "2030-01-01T00:00:00Z"
ARN = "arn:aws:acm:us-west-2:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
CUSTOM = {"tlsConfig": {"customCertificateConfig": {"acmArn": ARN, "domainName": "a.example"}}}
RECORD = {**CUSTOM, "dnsConfig": {"hostedZoneId": "Z1"}}
UNKNOWN = "nothing here asks Route 53 whether it did"
Tenants = Callable[[str], Tenant]


def made(kind: str, version: str, status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    metadata = {"name": "door", "namespace": "n"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec, "status": status}


def issued(**status: str) -> dict[str, Any]:
    return made("Certificate", "cert-manager.io/v1", status, dnsNames=["a.example"], issuerRef={"name": "own"})


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ({}, None),
        ({"notAfter": "2030-03-01T00:00:00Z", "renewalTime": "2030-02-01T00:00:00Z"}, "Valid"),
        ({"notAfter": "2030-03-01T00:00:00Z", "renewalTime": "2029-12-01T00:00:00Z"}, "Expiring"),
        ({"notAfter": "2030-01-01T00:00:00Z", "renewalTime": "2029-12-01T00:00:00Z"}, "Expired"),
        ({"notAfter": "2030-03-01T00:00:00Z"}, "Valid"),
    ],
)
def test_a_certificate_is_as_healthy_as_its_times_say(status: dict[str, str], health: str | None) -> None:
    found = edge.certificate({"tlsConfig": {"tlsCertificateOutputS3Uri": "s3://b/k"}}, [issued(**status)], NOW)
    assert found is not None
    assert found.get("certificateHealth") == health
    assert found.get("lastCertExpiryTime") == status.get("notAfter")
    assert (found["certificateName"], found["issuerName"]) == ("door", "own")


def test_the_next_look_is_when_a_certificate_turns() -> None:
    both = issued(notAfter="2030-03-01T00:00:00Z", renewalTime="2030-02-01T00:00:00Z")
    assert edge.next_turn([both], NOW) == datetime(2030, 2, 1, tzinfo=UTC)
    assert edge.next_turn([both], datetime(2030, 2, 1, tzinfo=UTC)) == datetime(2030, 3, 1, tzinfo=UTC)
    assert edge.next_turn([both], datetime(2030, 3, 1, tzinfo=UTC)) is None
    assert edge.next_turn([issued()], NOW) is None


def test_an_endpoint_without_certificate_and_record_has_neither_block() -> None:
    assert edge.certificate({}, [issued()], NOW) is None
    assert edge.dns(CUSTOM, [], {}, INSTANT) is None


@pytest.mark.parametrize(
    ("door", "health", "message"),
    [
        (None, "Pending", "there is neither an Ingress nor a Gateway yet that a record could point to"),
        (
            made("Ingress", "networking.k8s.io/v1", {}),
            "Pending",
            "Ingress door in n has no address yet; its controller gives it one",
        ),
        (
            made("Ingress", "networking.k8s.io/v1", {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}),
            None,
            f"external-dns makes the record for Ingress door in n, at 192.0.2.1; {UNKNOWN}",
        ),
        (
            made("Gateway", "gateway.networking.k8s.io/v1", {"addresses": [{"value": "gate.example"}]}),
            None,
            f"external-dns makes the record for Gateway door in n, at gate.example; {UNKNOWN}",
        ),
        (
            made("HTTPRoute", "gateway.networking.k8s.io/v1", {}),
            None,
            f"external-dns makes the record for HTTPRoute door in n; {UNKNOWN}",
        ),
    ],
)
def test_a_record_waits_for_what_it_points_to(door: dict[str, Any] | None, health: str | None, message: str) -> None:
    found = edge.dns(RECORD, [door] if door else [], {}, INSTANT)
    assert found is not None
    assert (found.get("dnsHealth"), found["message"]) == (health, message)
    assert (found["managedByOperator"], found["recordName"], found["hostedZoneId"]) == (False, "a.example", "Z1")


def test_a_record_that_moves_tells_where_it_was_and_its_time_stays_while_its_health_does() -> None:
    first = edge.dns(RECORD, [], {}, INSTANT)
    assert first is not None
    second = edge.dns({**RECORD, "dnsConfig": {"hostedZoneId": "Z2"}}, [], first, "2030-01-02T00:00:00Z")
    assert second is not None
    assert (second["previousHostedZoneId"], second["lastTransitionTime"]) == ("Z1", INSTANT)
    third = edge.dns({**RECORD, "dnsConfig": {"hostedZoneId": "Z2"}}, [], second, "2030-01-03T00:00:00Z")
    assert third == second


@pytest.mark.slow
@pytest.mark.usefixtures("controller")
def test_the_status_follows_the_certificate_and_its_copy_in_the_bucket(tenant_of: Tenants) -> None:
    tenant = tenant_of("signed")
    document = case("self-signed")
    name = document["metadata"]["name"]
    tenant.apply(document)
    tenant.until_installed(name)
    place = f"/apis/cert-manager.io/v1/namespaces/signed/certificates/{name}-signed-tls"
    certificate = tenant.kube.get(place)
    assert certificate is not None
    found = tenant.until(name, lambda it: "certificateName" in it.get("tlsCertificate", {}))["tlsCertificate"]
    assert "certificateHealth" not in found
    assert found["certificateDomainNames"] == certificate["spec"]["dnsNames"]
    times = {"notAfter": "2099-01-01T00:00:00Z", "renewalTime": "2098-12-01T00:00:00Z"}
    tenant.kube.merge(f"{place}/status", {"status": times})
    found = tenant.until(name, lambda it: "certificateHealth" in it["tlsCertificate"])["tlsCertificate"]
    assert (found["certificateHealth"], found["lastCertExpiryTime"]) == ("Valid", times["notAfter"])
    assert (found["tlsCertificateOutputS3Bucket"], found["tlsCertificateS3Keys"]) == ("my-certificates", [])
    tenant.kube.merge(f"{place}/status", {"status": {"renewalTime": "2020-01-01T00:00:00Z"}})
    tenant.until(name, lambda it: it["tlsCertificate"]["certificateHealth"] == "Expiring")
    jobs = tenant.kube.get("/apis/batch/v1/namespaces/signed/cronjobs") or {"items": []}
    (job,) = (each for each in jobs["items"] if f"{name}-signed" in each["metadata"]["name"])
    path = f"/apis/batch/v1/namespaces/signed/cronjobs/{job['metadata']['name']}/status"
    tenant.kube.merge(path, {"status": {"lastSuccessfulTime": "2030-01-01T00:00:00Z"}})
    found = tenant.until(name, lambda it: it["tlsCertificate"]["tlsCertificateS3Keys"])["tlsCertificate"]
    assert found["tlsCertificateS3Keys"][0].endswith(f"{name}-signed.pem")


@pytest.mark.slow
@pytest.mark.usefixtures("controller")
def test_the_status_follows_the_address_that_a_record_points_to(tenant_of: Tenants) -> None:
    tenant = tenant_of("recorded")
    document = case("tls-and-dns")
    name = document["metadata"]["name"]
    tenant.apply(document)
    tenant.until_installed(name)
    ingress = f"Ingress alb-{name}-recorded in {SYSTEM}"
    found = tenant.until(name, lambda it: ingress in it.get("dnsStatus", {}).get("message", ""))
    assert found["dnsStatus"]["dnsHealth"] == "Pending"
    assert found["tlsCertificate"] == {"certificateARN": ARN, "certificateDomainNames": ["llama.example.com"]}
    path = f"/apis/networking.k8s.io/v1/namespaces/{SYSTEM}/ingresses/alb-{name}-recorded/status"
    tenant.kube.merge(path, {"status": {"loadBalancer": {"ingress": [{"hostname": "lb.example"}]}}})
    found = tenant.until(name, lambda it: "lb.example" in it["dnsStatus"]["message"])["dnsStatus"]
    assert "dnsHealth" not in found
    document["spec"]["dnsConfig"]["hostedZoneId"] = "Z0123456789DEF"
    tenant.apply(document)
    found = tenant.until(name, lambda it: it["dnsStatus"].get("previousHostedZoneId"))["dnsStatus"]
    assert (found["previousHostedZoneId"], found["hostedZoneId"]) == ("Z0123456789ABC", "Z0123456789DEF")
