from pathlib import Path

import pytest
import yaml

from dpd_local import plan
from dpd_local.manifests import Manifests
from dpd_local.podspec import flag
from dpd_local.ports import free_ports
from dpd_local.processes import Running, StartError

ANSWER = """
import http.server, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Health).serve_forever()
"""
ROUTER = {
    "listen": {"host": "0.0.0.0", "port": 8080},
    "transfer": {"connector": "lmcache", "initPorts": [7300], "allocPorts": [7400], "notify": {}},
    "pools": {"prefill": [{"host": "p", "port": 8081}], "decode": [{"host": "d", "port": 8081}]},
}
LMCACHE = {"prefill": {"pd_proxy_host": "r"}, "decode": {"pd_peer_init_port": [7300], "pd_peer_alloc_port": [7400]}}


def deployment(name: str, containers: list[object], config: str, labels: object) -> object:
    volumes = [{"name": "config", "configMap": {"name": config}}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers, "volumes": volumes}}
    return {"kind": "Deployment", "metadata": {"name": name}, "spec": {"template": template}}


def container(name: str, *args: str) -> object:
    return {"name": name, "args": list(args), "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}]}


def config_map(name: str, key: str, content: object) -> object:
    return {"kind": "ConfigMap", "metadata": {"name": name}, "data": {key: yaml.safe_dump(content)}}


def endpoint() -> Manifests:
    sidecar = {"name": "sidecar-reverse-proxy"}
    objects = [config_map("router", "config.yaml", ROUTER)]
    for role, settings in LMCACHE.items():
        labels = {"inference.sagemaker.aws.amazon.com/dpd-role": role}
        worker = container("worker", "--model", "/opt/ml/model/weights")
        objects.append(deployment(f"{role}-x", [worker, sidecar], f"{role}-lmcache", labels))
        objects.append(config_map(f"{role}-lmcache", "lmcache.yaml", settings))
    objects.append(deployment("x-router", [container("router-container")], "router", {}))
    return Manifests(yaml.safe_dump_all(objects))


def planned(folder: Path, runtime: plan.Runtime) -> plan.Plan:
    return plan.make(endpoint(), folder, free_ports, {}, runtime)


def settings(process: plan.Process, name: str) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load(next(text for path, text in process.files.items() if path.name == name))
    return loaded


def test_another_command_takes_the_place_of_the_simulator_and_finds_the_model(tmp_path: Path) -> None:
    runtime = plan.Runtime(("vllm", "serve"), folders={"/opt/ml/model": tmp_path / "tiny"})
    for process in planned(tmp_path, runtime).processes[:2]:
        assert process.command[:2] == ("vllm", "serve")
        assert flag(process.command, "--model") == str(tmp_path / "tiny" / "weights")


def test_each_engine_of_a_pool_has_its_own_name_folder_and_ports(tmp_path: Path) -> None:
    made = planned(tmp_path, plan.Runtime(replicas={"decode": 2}))
    assert [each.name for each in made.processes] == ["prefill-x", "decode-x", "decode-x-2", "x-router"]
    first, second = made.of_role("decode")
    assert not set(first.files) & set(second.files)
    taken = [settings(each, "lmcache.yaml")["pd_peer_init_port"] for each in (first, second)]
    assert taken[0] != taken[1]


def test_the_router_is_told_every_engine_and_where_each_decoder_takes_transfers(tmp_path: Path) -> None:
    made = planned(tmp_path, plan.Runtime(replicas={"decode": 2, "prefill": 2}))
    pools = settings(made.front, "config.yaml")["pools"]
    assert isinstance(pools, dict)
    for role in ("prefill", "decode"):
        assert [each["port"] for each in pools[role]] == [each.port for each in made.of_role(role)]
    lmcache = [settings(each, "lmcache.yaml") for each in made.of_role("decode")]
    assert [each["initPorts"] for each in pools["decode"]] == [each["pd_peer_init_port"] for each in lmcache]
    assert [each["allocPorts"] for each in pools["decode"]] == [each["pd_peer_alloc_port"] for each in lmcache]


def answering(tmp_path: Path) -> tuple[plan.Plan, plan.Process]:
    program = tmp_path / "answer.py"
    program.write_text(ANSWER)
    made = planned(tmp_path, plan.Runtime(("python3", str(program))))
    engine = made.processes[0]
    return plan.Plan((engine,)), engine


def test_a_killed_engine_starts_again_at_its_port_under_a_new_identifier(tmp_path: Path) -> None:
    made, engine = answering(tmp_path)
    running = Running(made, tmp_path)
    try:
        running.start()
        before = running.pids()[engine.name]
        running.kill(engine)
        assert not Path(f"/proc/{before}").exists()
        running.restart(engine)
        assert running.pids()[engine.name] != before
    finally:
        running.stop()


def test_an_engine_that_never_gets_ready_fails_after_its_own_time(tmp_path: Path) -> None:
    program = tmp_path / "silent.py"
    program.write_text("import time\ntime.sleep(60)\n")
    made = planned(tmp_path, plan.Runtime(("python3", str(program))))
    running = Running(plan.Plan(made.processes[:1]), tmp_path, ready_seconds=0.2)
    try:
        with pytest.raises(StartError, match=r"prefill-x: .* did not say ready within 0 s; read its log below"):
            running.start()
    finally:
        running.stop()
