"""boto3 as people call an endpoint with it."""

import asyncio
import json

import boto3
import botocore.config


class Boto:
    """Clients of boto3's; whatever they opened is closed with the test."""

    def __init__(self):
        self.opened = []

    def client(self, up):
        once = botocore.config.Config(retries={"total_max_attempts": 1}, proxies={})
        keys = {"aws_access_key_id": "anyone", "aws_secret_access_key": "anything"}
        url = f"http://127.0.0.1:{up.port}"
        made = boto3.client("sagemaker-runtime", region_name="us-west-2", endpoint_url=url, config=once, **keys)
        self.opened.append(made)
        return made

    async def invoke(self, up, body, name="chat", **more):
        return await self.call(self.client(up).invoke_endpoint, body, name, **more)

    async def stream(self, up, body, name="chat", **more):
        return await self.call(self.client(up).invoke_endpoint_with_response_stream, body, name, **more)

    async def call(self, call, body, name="chat", **more):
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await asyncio.to_thread(call, EndpointName=name, Body=sent, ContentType="application/json", **more)
        self.opened.append(answer["Body"])
        return answer

    async def read(self, answer):
        """The whole of an answer; on a thread of its own, for the router runs on this one."""
        return await asyncio.to_thread(answer["Body"].read)

    async def parts(self, answer):
        """The parts of a stream."""
        return [part["PayloadPart"]["Bytes"] for part in await asyncio.to_thread(list, answer["Body"])]

    def close(self):
        for each in reversed(self.opened):
            each.close()
