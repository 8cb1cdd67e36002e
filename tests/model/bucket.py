"""A real S3-compatible server on loopback, with users and their permissions enforced."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "models"
REGION = "us-east-2"


@dataclass(frozen=True)
class Service:
    """The server's address and the keys of a user that may do anything."""

    url: str
    access: str
    secret: str

    def client(self, name: str) -> object:
        """A boto3 client with those keys."""
        return boto3.client(
            name,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.access,
            aws_secret_access_key=self.secret,
        )

    def post(self, path: str, body: bytes = b"") -> None:
        """Tell the server something that is not AWS's."""
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/moto-api/{path}", body, {"Content-Type": "text/plain"})
        ):
            pass

    def user(self, name: str, *actions: str) -> "Service":
        """Make a user who may do only that, and return the service with their keys."""
        iam = self.client("iam")
        iam.create_user(UserName=name)  # type: ignore[attr-defined]
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=policy)  # type: ignore[attr-defined]
        key = iam.create_access_key(UserName=name)["AccessKey"]  # type: ignore[attr-defined]
        return Service(self.url, key["AccessKeyId"], key["SecretAccessKey"])


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Service]:
    """Run a server whose bucket has `files` below llama/, until the block ends."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        service = Service(f"http://{host}:{port}", "any", "any")
        service.post("reset")
        root = service.user("root", "*")
        s3 = root.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})  # type: ignore[attr-defined]
        for path, content in files.items():
            s3.put_object(Bucket=BUCKET, Key=f"llama/{path}", Body=content)  # type: ignore[attr-defined]
        s3.put_object(Bucket=BUCKET, Key="llama/", Body=b"")  # type: ignore[attr-defined]
        s3.put_object(Bucket=BUCKET, Key="llama-2/config.json", Body=b"another model")  # type: ignore[attr-defined]
        root.post("reset-auth", b"0")
        yield root
        root.post("reset-auth", b"999999999")
    finally:
        server.stop()
