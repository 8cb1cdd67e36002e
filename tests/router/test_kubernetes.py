"""Discovery against a real API server, with the rights the chart gives and no others."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
import trustme
import yaml

from chart.helm import manifests, template
from cluster.control import ControlPlane, control_plane, wait_until_ready
from cluster.provision import STAMP
from dpd_router.discovery import Api, Roster, Target
from dpd_router.discovery.api import session
from dpd_router.discovery.kubernetes import KubernetesDiscovery
from dpd_router.discovery.watch import PodWatch
from dpd_router.pool import Pool, Role
from router import rig
from router.pods import Pods, token_of
from support.paths import CHART
from support.ports import free_ports

ROUTERS, ENDPOINT = "hyperpod-inference-system", "default"
SELECTOR = "app=e,inference.sagemaker.aws.amazon.com/dpd-role="
TARGETS = (
    Target(Role.PREFILL, "", 8081, selector=SELECTOR + "prefill"),
    Target(Role.DECODE, "", 8081, (7300,), (7400,), SELECTOR + "decode"),
)


@dataclass
class Site:
    plane: ControlPlane
    api: Api
    pods: Pods


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An API server of our own, for it will be killed; the chart's router has been given its account and rights."""
    assert STAMP.exists(), "there is no Kubernetes to run: `make kubernetes` builds it"
    folder = tmp_path_factory.mktemp("discovery")
    with control_plane(folder, free_ports(3)) as plane:
        plane.must("create", "namespace", ROUTERS)
        plane.must("create", "serviceaccount", "default")
        rendered = manifests(template("helm", CHART / "ci" / "shapes" / "dpd-values.yaml"))
        rights = [
            each
            for each in rendered
            if each["kind"] in ("Role", "RoleBinding", "ServiceAccount") and "router" in each["metadata"]["name"]
        ]
        assert [each["kind"] for each in rights] == ["ServiceAccount", "Role", "RoleBinding"]
        plane.must("apply", "-f", "-", text=yaml.safe_dump_all(json.loads(json.dumps(rights))))
        token = token_of(plane, folder, ROUTERS, rights[0]["metadata"]["name"])
        yield Site(plane, Api(plane.url, token, plane.keys / "ca.crt"), Pods(plane, ENDPOINT))


@dataclass
class Found:
    pool: Pool
    discovery: KubernetesDiscovery
    lines: list[str]

    def workers(self, *, serving: bool = True) -> dict[str, str]:
        return {each.address.host: str(each.address.role) for each in self.pool.all() if each.resting is not serving}

    def at(self, host: str):
        return next(each for each in self.pool.all() if each.address.host == host)


until = partial(rig.until, seconds=30)


@contextlib.asynccontextmanager
async def following(site: Site, api: Api | None = None):
    pool, lines = Pool("n"), list[str]()
    discovery = KubernetesDiscovery(Roster(pool, lines.append), TARGETS, api or site.api, ENDPOINT, lines.append)
    task = asyncio.create_task(discovery.run())
    try:
        yield Found(pool, discovery, lines)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def shell(action, *arguments, **named) -> None:
    """Run kubectl while the loop goes on."""
    await asyncio.to_thread(action, *arguments, **named)


@pytest.fixture(autouse=True)
def no_pods(site: Site) -> Iterator[None]:
    yield
    site.plane.must("delete", "pods", "--all", "--force", "--grace-period=0", "--wait=true", f"--namespace={ENDPOINT}")


async def test_pods_become_workers_of_their_role_with_life_and_revision(site):
    uid = site.pods.make("p0", "prefill", "10.0.0.1", revision="r7")
    site.pods.make("d0", "decode", "10.0.0.2")
    site.pods.make("new", "decode")
    async with following(site) as found:
        async with asyncio.timeout(30):
            await found.discovery.known.wait()
        assert found.workers() == {"10.0.0.1": "prefill", "10.0.0.2": "decode"}
        assert (found.at("10.0.0.1").address.uid, found.at("10.0.0.1").address.revision) == (f"{uid}.0", "r7")
        assert found.at("10.0.0.2").receiver.init_ports == (7300,)
        await shell(site.pods.status, "new", "10.0.0.3", ready=True)
        await until(lambda: "10.0.0.3" in found.workers())
        assert found.discovery.heard() is not None


async def test_a_pod_that_is_unready_or_leaves_rests_with_its_pages_and_one_that_is_gone_is_forgotten(site):
    site.pods.make("d0", "decode", "10.0.0.2")
    site.pods.make("d1", "decode", "10.0.0.3")
    async with following(site) as found:
        await until(lambda: len(found.workers()) == 2)
        for each in found.pool.all():
            found.pool.mark_up(each)
        worker = found.at("10.0.0.2")
        worker.ledger.used = 7
        await shell(site.pods.status, "d0", "10.0.0.2", ready=False)
        await until(lambda: found.workers() == {"10.0.0.3": "decode"})
        assert found.pool.ready(Role.DECODE) == [found.at("10.0.0.3")]
        await shell(site.pods.status, "d0", "10.0.0.2", ready=True)
        await until(lambda: len(found.workers()) == 2)
        assert found.at("10.0.0.2") is worker
        assert worker.ledger.used == 7
        await shell(site.pods.leave, "d1")
        await until(lambda: found.workers(serving=False) == {"10.0.0.3": "decode"})
        await shell(site.pods.remove, "d1")
        await until(lambda: [each.address.host for each in found.pool.all()] == ["10.0.0.2"])


async def test_another_life_at_the_same_address_is_another_worker_with_nothing_of_the_first(site):
    site.pods.make("d0", "decode", "10.0.0.2")
    async with following(site) as found:
        await until(found.workers)
        first = found.at("10.0.0.2")
        first.ledger.used = 7
        await shell(site.pods.status, "d0", "10.0.0.2", ready=True, proxy_restarts=1)
        await shell(site.pods.status, "d0", "10.0.0.2", ready=False, proxy_restarts=1)
        await until(lambda: not found.workers())
        assert found.at("10.0.0.2") is first, "the proxy began anew, the engine did not"
        await shell(site.pods.status, "d0", "10.0.0.2", ready=True, restarts=1)
        await until(lambda: found.at("10.0.0.2") is not first)
        second = found.at("10.0.0.2")
        assert second.ledger.used == 0
        assert found.pool.tag(second) != found.pool.tag(first)
        await shell(site.pods.remove, "d0")
        await shell(site.pods.make, "d0", "decode", "10.0.0.2")
        await until(lambda: found.pool.all() and found.at("10.0.0.2") is not second)


async def test_an_api_server_that_is_lost_changes_nothing_and_what_happened_meanwhile_is_caught_up_with(site):
    site.pods.make("d0", "decode", "10.0.0.2")
    async with following(site) as found:
        await until(found.workers)
        site.plane.server.kill()
        await until(lambda: any("are not heard of" in line for line in found.lines))
        assert found.workers() == {"10.0.0.2": "decode"}
        site.plane.server.start()
        await asyncio.to_thread(wait_until_ready, site.plane)
        await shell(site.pods.make, "d1", "decode", "10.0.0.3")
        await shell(site.pods.remove, "d0")
        await until(lambda: found.workers() == {"10.0.0.3": "decode"})
        assert any(line.endswith("are heard of again") for line in found.lines)


async def test_a_watch_from_before_what_the_server_remembers_is_begun_with_a_new_list(site):
    site.pods.make("d0", "decode", "10.0.0.2")
    seen, lines = list[set[str]](), list[str]()

    def changed(pods):
        seen.append({each.address for each in pods.values()})

    watch = PodWatch(site.api, ENDPOINT, TARGETS[1].selector, changed, lines.append, version="1")
    async with session() as client, asyncio.timeout(30):
        task = asyncio.create_task(watch.run(client))
        await until(lambda: seen)
        assert seen == [{"10.0.0.2"}]
        assert any("are listed anew: 410: too old resource version" in line for line in lines), lines
        await shell(site.pods.make, "d1", "decode", "10.0.0.3")
        await until(lambda: seen[-1] == {"10.0.0.2", "10.0.0.3"})
        assert watch.relists == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_the_api_server_says_at_once_is_told_once(tmp_path):
    """Whoever is told looks at all pods: for each of a hundred that leave a thousand, that would take seconds."""
    first = {"metadata": {"name": "d0", "uid": "u0", "resourceVersion": "1"}, "status": {"podIP": "10.0.0.1"}}
    leaving = [json.dumps({"type": kind, "object": first}).encode() + b"\n" for kind in ("MODIFIED", "DELETED")]
    listed = json.dumps({"metadata": {"resourceVersion": "1"}, "items": [first]}).encode()

    async def answer(seen, reader, writer):
        if "watch=true" not in seen.path:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(listed), listed))
            return
        writer.write(rig.STREAM + rig.chunk(b"".join(leaving)))
        await reader.read()

    (tmp_path / "token").write_text("t")
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.crt")
    told, lines = list[list[str]](), list[str]()
    async with rig.engine(answer) as server, session() as client, asyncio.timeout(30):
        api = Api(f"http://127.0.0.1:{server.port}", tmp_path / "token", tmp_path / "ca.crt")
        watch = PodWatch(api, ENDPOINT, "s", lambda pods: told.append([*pods]), lines.append)
        task = asyncio.create_task(watch.run(client))
        await until(lambda: len(told) > 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert told == [["u0"], []]


async def test_a_router_without_rights_says_what_it_lacks_and_goes_on_when_it_has_them(site, tmp_path):
    token = token_of(site.plane, tmp_path, "default", "default")
    async with following(site, Api(site.api.server, token, site.api.ca_file)) as found:
        await until(lambda: found.lines)
        assert "403: " in found.lines[0]
        assert "let the router's service account get, list and watch pods there" in found.lines[0]
        token.write_bytes(site.api.token_file.read_bytes())
        async with asyncio.timeout(30):
            await found.discovery.known.wait()


def test_the_charts_rights_are_all_there_are(site):
    account = f"--as=system:serviceaccount:{ROUTERS}:dpd-test-default-router"
    asked = {
        ("watch", "pods", ENDPOINT): "yes",
        ("watch", "pods", ROUTERS): "no",
        ("delete", "pods", ENDPOINT): "no",
        ("get", "pods --subresource=log", ENDPOINT): "no",
        ("get", "secrets", ENDPOINT): "no",
        ("list", "pods", "kube-system"): "no",
    }
    for (verb, what, namespace), answer in asked.items():
        done = site.plane.kubectl("auth", "can-i", verb, *what.split(), f"--namespace={namespace}", account)
        assert done.stdout.split()[0] == answer, (verb, what, namespace)
