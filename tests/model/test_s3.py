import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from model.bucket import BUCKET, REGION, Service, serving
from model.running import Done, held, run, start

MODEL = f"s3://{BUCKET}/llama"
READS = ("s3:ListBucket", "s3:GetObject")


@pytest.fixture
def service(files: dict[str, bytes]) -> Iterator[Service]:
    with serving(files) as running:
        yield running


@pytest.fixture
def reader(service: Service) -> Service:
    return service.user("reader", *READS)


def keys(service: Service) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": service.access, "AWS_SECRET_ACCESS_KEY": service.secret}


def fetched(service: Service, to: Path, env: dict[str, str], what: str = MODEL) -> Done:
    return run("s3", what, "--region", REGION, "--endpoint", service.url, "--to", to, env=env)


def test_a_bucket_is_fetched_by_a_user_who_may_list_and_read(
    reader: Service, to: Path, files: dict[str, bytes]
) -> None:
    done = fetched(reader, to, keys(reader))
    assert done.code == 0, done.said
    assert held(to) == files


def test_a_list_of_many_pages_is_read_to_its_end(
    reader: Service, to: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    assert fetched(reader, to, keys(reader)).code == 0
    assert held(to) == files


def test_names_that_need_quoting_are_signed_as_they_are_sent(service: Service, reader: Service, to: Path) -> None:
    s3: Any = service.client("s3")
    names = ("a+b=c&d.json", "größe/(1) ~x.json", "50%.json", "a:b@c,d.json")
    for name in names:
        s3.put_object(Bucket=BUCKET, Key=f"odd models/{name}", Body=name.encode())
    done = fetched(reader, to, keys(reader), f"s3://{BUCKET}/odd models")
    assert done.code == 0, done.said
    assert held(to) == {name: name.encode() for name in names}


def test_a_wrong_secret_is_said(reader: Service, to: Path) -> None:
    done = fetched(reader, to, {**keys(reader), "AWS_SECRET_ACCESS_KEY": "wrong"})
    assert done.code == 1
    assert "refused (SignatureDoesNotMatch); let the pod's role list the bucket and get its objects" in done.said
    assert "Traceback" not in done.said


def test_a_user_who_may_list_and_not_read_is_told_so(service: Service, to: Path) -> None:
    lister = service.user("lister", "s3:ListBucket")
    done = fetched(lister, to, keys(lister))
    assert done.code == 1
    assert "refused (AccessDenied); let the pod's role list the bucket and get its objects" in done.said
    assert held(to) == {"empty.txt": b""}


def test_a_bucket_that_is_not_there_is_said(reader: Service, to: Path) -> None:
    done = fetched(reader, to, keys(reader), "s3://elsewhere/llama")
    assert done.code == 1
    assert "not there (NoSuchBucket); check modelSourceConfig.s3Storage.bucketName and modelLocation" in done.said


def test_a_prefix_without_objects_is_refused(reader: Service, to: Path) -> None:
    done = fetched(reader, to, keys(reader), f"s3://{BUCKET}/llam")
    assert done.code == 1
    assert f"s3://{BUCKET}/llam: no files there; check the model's location" in done.said


def test_an_address_that_names_no_bucket_is_refused(reader: Service, to: Path) -> None:
    done = fetched(reader, to, keys(reader), "models/llama")
    assert done.code == 1
    assert "models/llama: no address of a bucket; write s3://bucket/prefix" in done.said


def test_a_run_that_was_killed_goes_on_where_it_stopped(service: Service, reader: Service, to: Path) -> None:
    s3: Any = service.client("s3")
    content = bytes(range(256)) * 16_384
    s3.put_object(Bucket=BUCKET, Key="large/model.safetensors", Body=content)
    arguments = ("s3", f"s3://{BUCKET}/large", "--region", REGION, "--endpoint", service.url, "--to", to)
    process = start(*arguments, "--parallel", "1", env=keys(reader))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        written = [path.read_text().count("\n") - 1 for path in to.glob(".dpd-model/*.journal")]
        if written and written[0] >= 2:
            break
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert held(to) == {}
    done = run(*arguments, env=keys(reader))
    assert done.code == 0, done.said
    assert "are here already" in done.said
    assert held(to) == {"model.safetensors": content}


def test_an_object_that_changed_is_fetched_anew(service: Service, reader: Service, to: Path) -> None:
    fetched(reader, to, keys(reader))
    s3: Any = service.client("s3")
    s3.put_object(Bucket=BUCKET, Key="llama/config.json", Body=b'{"model_type": "other"}')
    assert fetched(reader, to, keys(reader)).code == 0
    assert held(to)["config.json"] == b'{"model_type": "other"}'


def test_a_service_accounts_role_is_taken_on(service: Service, to: Path, files: dict[str, bytes]) -> None:
    iam: Any = service.client("iam")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:*", "Principal": "*"}]}
    iam.create_role(RoleName="workers", AssumeRolePolicyDocument=json.dumps(trust))
    statement = {"Effect": "Allow", "Action": list(READS), "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName="workers", PolicyName="reads", PolicyDocument=policy)
    token = to.with_name("token")
    token.write_text("a.service.account\n")
    env = {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/workers",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_ENDPOINT_URL_STS": service.url,
    }
    # The exchange of the token carries no signature; everything after it does.
    service.post("reset-auth", b"1")
    done = fetched(service, to, env)
    assert done.code == 0, done.said
    assert held(to) == files


def test_a_token_that_is_not_mounted_is_said(service: Service, to: Path) -> None:
    missing = str(to.with_name("token"))
    env = {"AWS_ROLE_ARN": "arn:aws:iam::1:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": missing}
    done = fetched(service, to, env)
    assert done.code == 1
    assert f"{missing}: No such file or directory; mount the token there" in done.said


def test_a_public_bucket_needs_no_keys(service: Service, to: Path, files: dict[str, bytes]) -> None:
    s3: Any = service.client("s3")
    for path in files:
        s3.put_object_acl(Bucket=BUCKET, Key=f"llama/{path}", ACL="public-read")
    service.post("reset-auth", b"999999999")
    done = fetched(service, to, {})
    assert done.code == 0, done.said
    assert held(to) == files


class Pods:
    """The agent's address, when the credentials it gives end, and how often it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.ends = "2099-01-01T00:00:00Z"
        self.asked = 0


@pytest.fixture
def agent(reader: Service) -> Iterator[Pods]:
    pods = Pods()

    class Agent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pods.asked += 1
            known = self.headers.get("Authorization") == "pod-token"
            told = {"AccessKeyId": reader.access, "SecretAccessKey": reader.secret, "Token": ""}
            self.send_response(200 if known else 403)
            self.end_headers()
            self.wfile.write(json.dumps({**told, "Expiration": pods.ends}).encode() if known else b"")

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Agent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    pods.url = f"http://127.0.0.1:{server.server_address[1]}/v1/credentials"
    yield pods
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(("said", "code"), [("pod-token", 0), ("another", 1)])
def test_the_nodes_agent_gives_a_pods_credentials_to_that_pod(
    reader: Service, agent: Pods, to: Path, said: str, code: int
) -> None:
    token = to.with_name("token")
    token.write_text(said)
    env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.url, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token)}
    done = fetched(reader, to, env)
    assert done.code == code, done.said
    refusal = f"{agent.url}: no credentials of the pod's identity (403); check the service account"
    assert (refusal in done.said) == bool(code)
    assert agent.asked == 1


def test_credentials_that_end_soon_are_asked_for_again(
    reader: Service, agent: Pods, to: Path, files: dict[str, bytes]
) -> None:
    agent.ends = "2020-01-01T00:00:00Z"
    token = to.with_name("token")
    token.write_text("pod-token")
    env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.url, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token)}
    done = fetched(reader, to, env)
    assert done.code == 0, done.said
    assert held(to) == files
    assert agent.asked > len(files)
