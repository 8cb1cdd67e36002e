"""AWS credentials as a pod gets them, and requests signed with them (Signature Version 4).

From the environment, from a service account's role (AWS_ROLE_ARN and a token file), or from the node's pod identity
agent (AWS_CONTAINER_CREDENTIALS_FULL_URI); with none of them requests go unsigned, as a public bucket allows.
"""

import hashlib
import hmac
import urllib.parse
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from model_files import FetchError
from model_http import Client, request

_EMPTY = hashlib.sha256(b"").hexdigest()
_STS = "{https://sts.amazonaws.com/doc/2011-06-15/}"
_EARLY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Keys:
    """An access key, its secret, a session token when it is temporary, and when it ends."""

    access: str = ""
    secret: str = ""
    session: str = ""
    ends: datetime | None = None

    def ends_before(self, now: datetime) -> bool:
        """Whether it is time for new ones, five minutes early."""
        return self.ends is not None and self.ends - _EARLY <= now


@dataclass(frozen=True, slots=True)
class Request:
    """What is signed: address, query, further headers, method, and the SHA-256 of the body."""

    base: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    method: str = "GET"
    body: str = _EMPTY

    @property
    def url(self) -> str:
        """The whole address."""
        return f"{self.base}?{self.canonical_query}" if self.query else self.base

    @property
    def canonical_query(self) -> str:
        """The query in the order and spelling that a signature wants."""
        return urllib.parse.urlencode(sorted(self.query.items()), quote_via=urllib.parse.quote, safe="-_.~")


def keys_of(environment: Mapping[str, str], client: Client) -> Keys:
    """Find the pod's credentials; raises FetchError when a place that was named does not give them."""
    if environment.get("AWS_ACCESS_KEY_ID"):
        secret = environment.get("AWS_SECRET_ACCESS_KEY", "")
        return Keys(environment["AWS_ACCESS_KEY_ID"], secret, environment.get("AWS_SESSION_TOKEN", ""))
    if environment.get("AWS_ROLE_ARN"):
        return _of_role(environment, client)
    if environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return _of_agent(environment, client)
    return Keys()


def signed(asked: Request, keys: Keys, region: str, now: datetime) -> dict[str, str]:
    """Return the headers of a request, signature included."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    parts = urllib.parse.urlsplit(asked.base)
    headers = {"x-amz-content-sha256": asked.body, "x-amz-date": stamp}
    headers |= {name: value for name, value in asked.headers.items() if name.startswith("x-amz-")}
    if keys.session:
        headers["x-amz-security-token"] = keys.session
    named = {"host": parts.netloc, **headers}
    names = ";".join(sorted(named))
    lines = "".join(f"{name}:{named[name]}\n" for name in sorted(named))
    canonical = f"{asked.method}\n{parts.path}\n{asked.canonical_query}\n{lines}\n{names}\n{asked.body}"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{keys.secret}".encode()
    for each in scope.split("/"):
        key = hmac.digest(key, each.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**asked.headers, **headers, "Authorization": credential}


def _of_role(environment: Mapping[str, str], client: Client) -> Keys:
    place = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE", "")
    query = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": environment["AWS_ROLE_ARN"],
        "RoleSessionName": "dpd-model-fetcher",
        "WebIdentityToken": _text(place),
    }
    region = environment.get("AWS_REGION") or "us-east-1"
    base = environment.get("AWS_ENDPOINT_URL_STS") or f"https://sts.{region}.amazonaws.com"
    url, form = f"{base.rstrip('/')}/", urllib.parse.urlencode(query).encode()
    body = client.document(
        lambda: request(url, {}, form), lambda status, _: _no_keys(environment["AWS_ROLE_ARN"], status)
    )
    found = ElementTree.fromstring(body).find(f".//{_STS}Credentials")  # noqa: S314 - expat expands no external entity
    if found is None:
        raise FetchError(f"{base}: {_no_keys(environment['AWS_ROLE_ARN'], 200)}")
    told = {each.tag.removeprefix(_STS): each.text or "" for each in found}
    return _temporary(told["AccessKeyId"], told["SecretAccessKey"], told["SessionToken"], told["Expiration"])


def _of_agent(environment: Mapping[str, str], client: Client) -> Keys:
    url = environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    place = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    headers = {"Authorization": _text(place)} if place else {}
    told = client.json(lambda: request(url, headers), lambda status, _: _no_keys("the pod's identity", status))
    return _temporary(told["AccessKeyId"], told["SecretAccessKey"], told["Token"], told["Expiration"])


def _temporary(access: str, secret: str, session: str, ends: str) -> Keys:
    moment = datetime.strptime(ends[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)  # noqa: UP017 - Python 3.10
    return Keys(access, secret, session, moment)


def _no_keys(whose: str, status: int) -> str:
    return f"no credentials of {whose} ({status}); check the service account and the role's trust policy"


def _text(place: str) -> str:
    try:
        return Path(place).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise FetchError(
            f"{place or 'AWS_WEB_IDENTITY_TOKEN_FILE'}: {error.strerror}; mount the token there"
        ) from error
