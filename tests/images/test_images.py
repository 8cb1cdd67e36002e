import contextlib
import json
import os
import signal
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import images
from engines.harness.build import build as engines_environment
from engines.harness.endpoint import document
from images import Buildah
from support.ports import free_ports

START_SECONDS = 300.0
# Everything is built first when it was not yet: the engines' image has 3.5 GB of packages.
pytestmark = pytest.mark.timeout(2400)


@pytest.fixture(scope="session")
def buildah() -> Buildah:
    made, root = images.tools()
    images.base(made, root)
    return made


@pytest.fixture(scope="session", autouse=True)
def archives(buildah: Buildah) -> dict[str, Path]:
    return {name: images.build(buildah, image) for name, image in images.IMAGES.items()}


@contextlib.contextmanager
def running(buildah: Buildah, name: str, *words: str, url: str, mount: Path | None = None) -> Iterator[str]:
    """An image's own entrypoint with more words, on this machine's network; yields its log once its health answers."""
    policy = ("--signature-policy", images.FOLDER / "policy.json")
    made = buildah("from", "--pull-never", *policy, images.IMAGES[name].tag)
    log = images.FOLDER / f"{name}.log"
    try:
        entrypoint = json.loads(buildah("inspect", made))["OCIv1"]["config"]["Entrypoint"]
        mounts = ["--volume", f"{mount}:{mount}:ro"] if mount else []
        # As the engines' pods have it; the others do not read it.
        environment = document()["spec"]["worker"]["environmentVariables"]
        given = [word for each in environment for word in ("--env", f"{each['name']}={each['value']}")]
        command, variables = buildah.command("run", *mounts, *given, made, "--", *entrypoint, *words)
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=variables, stdout=output, stderr=output, start_new_session=True)
        try:
            await_health(process, url, log)
            yield log.read_text(errors="replace")
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
    finally:
        buildah("rm", made)


def await_health(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, log.read_text(errors="replace")[-4000:]
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
            return
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-4000:]
        time.sleep(0.2)


def complete(url: str, model: str) -> str:
    body = json.dumps({"model": model, "prompt": "one two three", "max_tokens": 4}).encode()
    request = urllib.request.Request(f"{url}/v1/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.load(answer)["choices"][0]["text"])


def engine_words(name: str, port: int) -> tuple[tuple[str, ...], Path | None]:
    here = ("--host", "127.0.0.1", "--port", str(port))
    if name == "simulator":
        return (*here, "--model", "tiny"), None
    model = engines_environment().model
    small = ("--enforce-eager", "--dtype", "float32", "--max-model-len", "512", "--num-gpu-blocks-override", "64")
    return ("--model", str(model), "--served-model-name", "tiny", *small, *here), model


@pytest.mark.parametrize("name", images.IMAGES)
def test_an_image_is_kept_as_an_archive_and_runs_as_a_user_that_is_not_root(
    buildah: Buildah, archives: dict[str, Path], name: str
) -> None:
    with tarfile.open(archives[name]) as archive:
        assert "manifest.json" in archive.getnames()
    settings = json.loads(buildah("inspect", "--type", "image", images.IMAGES[name].tag))["OCIv1"]["config"]
    assert settings["User"] == "1000:1000"


@pytest.mark.parametrize("engine", ["simulator", "worker-cpu"])
def test_a_router_from_its_image_serves_with_an_engine_from_its_image(
    buildah: Buildah, engine: str, tmp_path: Path
) -> None:
    own, front = free_ports(2)
    words, mount = engine_words(engine, own)
    config = tmp_path / "config.yaml"
    pools = {"worker": [{"host": "127.0.0.1", "port": own}]}
    listen = {"host": "127.0.0.1", "port": front}
    config.write_text(yaml.safe_dump({"listen": listen, "endpoint": {"name": "tiny"}, "pools": pools}))
    # The images' user is not ours, and has to come through pytest's folders.
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    router = ("--config", str(config))
    with (
        running(buildah, engine, *words, url=f"http://127.0.0.1:{own}", mount=mount),
        running(buildah, "router", *router, url=f"http://127.0.0.1:{front}", mount=tmp_path),
    ):
        assert complete(f"http://127.0.0.1:{front}", "tiny")
