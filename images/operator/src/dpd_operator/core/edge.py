"""Last decision, of the edge: what the status says of the endpoint's certificate and of its DNS record.

Both are others' work: cert-manager makes certificates, external-dns makes records, and AWS keeps its own. The status
holds what can be read of that in the cluster, and claims nothing of what cannot.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from dpd_operator.core.objects import Ref, Tree, ref_of

_BUCKET = "s3://"
# What can be reached, in the order in which a record would point to it.
_DOORS = ("Ingress", "Gateway", "HTTPRoute")


def certificate(spec: Tree, objects: Iterable[Tree], now: datetime) -> dict[str, Any] | None:
    """Return the block `tlsCertificate`, or None for an endpoint without one. objects: the release's, as they are."""
    tls = spec.get("tlsConfig")
    if not tls:
        return None
    there = tuple(objects)
    custom = tls.get("customCertificateConfig")
    own = {"certificateARN": custom["acmArn"], "certificateDomainNames": [custom["domainName"]]} if custom else {}
    made = _first(there, "Certificate")
    found = {**own, **(_made(made, now) if made else {})}
    address = tls.get("tlsCertificateOutputS3Uri", "")
    if address:
        found["tlsCertificateOutputS3Bucket"] = address.removeprefix(_BUCKET).partition("/")[0]
        found["tlsCertificateS3Keys"] = list(_copied(there))
    return found


def dns(spec: Tree, objects: Iterable[Tree], before: Tree, instant: str) -> dict[str, Any] | None:
    """Return the block `dnsStatus`, or None for an endpoint without a record. before: the block that is stored.

    instant: now, as statuses write times.
    """
    zone = (spec.get("dnsConfig") or {}).get("hostedZoneId", "")
    if not zone:
        return None
    name = ((spec.get("tlsConfig") or {}).get("customCertificateConfig") or {}).get("domainName", "")
    health, message = _record(tuple(objects))
    found = {"managedByOperator": False, "hostedZoneId": zone, "message": message}
    found |= {"recordName": name} if name else {}
    found |= {"dnsHealth": health} if health else {}
    for key, previous in (("recordName", "previousRecordName"), ("hostedZoneId", "previousHostedZoneId")):
        has_moved = before.get(key) and before[key] != found.get(key)
        held = before[key] if has_moved else before.get(previous, "")
        found |= {previous: held} if held else {}
    is_same = before.get("dnsHealth") == found.get("dnsHealth") and "lastTransitionTime" in before
    return {**found, "lastTransitionTime": before["lastTransitionTime"] if is_same else instant}


def next_turn(objects: Iterable[Tree], now: datetime) -> datetime | None:
    """Return when time alone will change a certificate's health, or None."""
    status = (_first(tuple(objects), "Certificate") or {}).get("status") or {}
    turns = (_time(status[key]) for key in ("renewalTime", "notAfter") if status.get(key))
    return min((each for each in turns if each > now), default=None)


def _made(made: Tree, now: datetime) -> dict[str, Any]:
    """What cert-manager's Certificate says; before it is issued it has no health and no end."""
    spec, status = made["spec"], made.get("status") or {}
    found: dict[str, Any] = {
        "certificateName": made["metadata"]["name"],
        "certificateDomainNames": list(spec.get("dnsNames") or []),
        "issuerName": spec["issuerRef"]["name"],
    }
    if status.get("notAfter"):
        end = _time(status["notAfter"])
        renewal = _time(status["renewalTime"]) if status.get("renewalTime") else end
        health = "Expired" if now >= end else "Expiring" if now >= renewal else "Valid"
        found |= {"certificateHealth": health, "lastCertExpiryTime": status["notAfter"]}
    return found


def _copied(objects: tuple[Tree, ...]) -> Iterator[str]:
    """The keys of a bucket to which a CronJob has copied the certificate."""
    job = _first(objects, "CronJob") or {}
    if not (job.get("status") or {}).get("lastSuccessfulTime"):
        return
    for container in job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]:
        for word in (*(container.get("command") or ()), *(container.get("args") or ())):
            if word.startswith(_BUCKET):
                yield word.removeprefix(_BUCKET).partition("/")[2]


def _record(objects: tuple[Tree, ...]) -> tuple[str, str]:
    """Return a record's health, empty when nobody here can know it, and why."""
    doors = [found for kind in _DOORS if (found := _first(objects, kind))]
    if not doors:
        return "Pending", "there is neither an Ingress nor a Gateway yet that a record could point to"
    door = doors[0]
    named: Ref = ref_of(door)
    if door["kind"] == "HTTPRoute":
        return "", f"external-dns makes the record for {named}; nothing here asks Route 53 whether it did"
    addresses = _addresses(door)
    if not addresses:
        return "Pending", f"{named} has no address yet; its controller gives it one"
    where = ", ".join(addresses)
    return "", f"external-dns makes the record for {named}, at {where}; nothing here asks Route 53 whether it did"


def _addresses(door: Tree) -> list[str]:
    status = door.get("status") or {}
    balanced = (status.get("loadBalancer") or {}).get("ingress") or []
    given = [each.get("value", "") for each in status.get("addresses") or []]
    return [*(each.get("hostname") or each.get("ip", "") for each in balanced), *given]


def _first(objects: tuple[Tree, ...], kind: str) -> Tree | None:
    found = (each for each in objects if each["kind"] == kind)
    return min(found, key=ref_of, default=None)


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
