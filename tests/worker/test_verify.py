import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from support.paths import ROOT

PROGRAM = ROOT / "charts/dpd/files/worker/verify.py"
SENDER = {
    "enable_pd": True,
    "pd_role": "sender",
    "pd_buffer_size": 1 << 30,
    "nixl_backends": ["UCX"],
}
RECEIVER = {
    **SENDER,
    "pd_role": "receiver",
    "pd_peer_host": "10.0.0.7",
    "pd_peer_init_port": [7300, 7301],
    "pd_peer_alloc_port": [7400, 7401],
}
UP = 'vllm:num_requests_running 0\nlmcache:local_cache_usage{role="worker",worker_id="0"} 0.0\n'
DEGRADED = 'vllm:num_requests_running 0\nlmcache:storage_events_done_count{role="scheduler",worker_id="0"} 0.0\n'


class Seen:
    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status = done.returncode
        self.faults = done.stderr.splitlines()
        assert not done.stdout
        assert "Traceback" not in done.stderr, done.stderr


def verify(*arguments: str, **environment: str) -> Seen:
    variables = {"PATH": os.environ["PATH"], **environment}
    command = [sys.executable, "-B", str(PROGRAM), *arguments]
    return Seen(subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False))


@pytest.fixture
def written(tmp_path: Path) -> Callable[[object], str]:
    def write(settings: object) -> str:
        path = tmp_path / "lmcache.yaml"
        path.write_text(yaml.safe_dump(settings))
        return str(path)

    return write


def test_settings_that_fit_the_role_pass(written) -> None:
    for role, settings in (("sender", SENDER), ("receiver", RECEIVER)):
        seen = verify("settings", "--role", role, "--ranks", "2", LMCACHE_CONFIG_FILE=written(settings))
        assert (seen.status, seen.faults) == (0, [])


def test_a_variable_counts_more_than_the_file_as_it_does_in_lmcache(written) -> None:
    file = written({**SENDER, "pd_buffer_size": "lots", "pd_role": "receiver"})
    seen = verify(
        "settings", "--role", "sender", LMCACHE_CONFIG_FILE=file, LMCACHE_PD_BUFFER_SIZE="8", LMCACHE_PD_ROLE="sender"
    )
    assert (seen.status, seen.faults) == (0, [])


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"enable_pd": False}, "enable_pd: False, and this pod is a receiver; set it to true"),
        ({"pd_role": "sender"}, "pd_role: sender, and this pod was drawn as receiver; do not set it by hand"),
        (
            {"pd_buffer_size": "$(PD_BUFFER_SIZE)"},
            "pd_buffer_size: $(PD_BUFFER_SIZE) is no number of bytes; set PD_BUFFER_SIZE, for example to 8589934592",
        ),
        (
            {"pd_buffer_size": 0},
            "pd_buffer_size: 0 is no number of bytes; set PD_BUFFER_SIZE, for example to 8589934592",
        ),
        (
            {"nixl_backends": ["LIBFABRIC"]},
            "nixl_backends: ['LIBFABRIC'], and the pod was drawn for UCX; set transfer.fabric instead",
        ),
        (
            {"pd_peer_host": "$(POD_IP)"},
            "pd_peer_host: $(POD_IP) is no address; set LMCACHE_PD_PEER_HOST to $(POD_IP)",
        ),
        (
            {"pd_peer_init_port": [7300]},
            "pd_peer_init_port: 1 ports for 2 tensor-parallel ranks; give one for each rank",
        ),
        (
            {"pd_peer_alloc_port": [7400, 70000]},
            "pd_peer_alloc_port: ['7400', '70000'] are not all ports; use numbers from 1 to 65535",
        ),
        (
            {"pd_peer_alloc_port": [7301, 7302]},
            "pd_peer_alloc_port: [7301] used twice; move transfer.initPort or transfer.allocPort",
        ),
    ],
)
def test_a_setting_that_would_cost_the_transfer_is_named(written, changed: dict[str, object], fault: str) -> None:
    file = written({**RECEIVER, **changed})
    seen = verify("settings", "--role", "receiver", "--ranks", "2", LMCACHE_CONFIG_FILE=file)
    assert (seen.status, seen.faults) == (1, [fault])


def test_all_faults_are_told_at_once(written) -> None:
    file = written({"pd_role": "sender"})
    seen = verify("settings", "--role", "receiver", "--ranks", "8", LMCACHE_CONFIG_FILE=file)
    assert seen.status == 1
    assert [each.partition(":")[0] for each in seen.faults] == [
        "enable_pd",
        "pd_role",
        "pd_buffer_size",
        "nixl_backends",
        "pd_peer_host",
        "pd_peer_init_port",
        "pd_peer_alloc_port",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "cannot be read: [Errno 2] No such file or directory: '{path}'; mount the file there"),
        ("a: [", "is not YAML: "),
        ("- a", "holds no mapping; write one setting on a line, as `chunk_size: 256`"),
        ("just words", "holds no mapping; write one setting on a line, as `chunk_size: 256`"),
    ],
)
def test_a_file_that_lmcache_could_not_read_is_named(tmp_path: Path, text: str | None, fault: str) -> None:
    path = tmp_path / "lmcache.yaml"
    if text is not None:
        path.write_text(text)
    seen = verify("settings", "--role", "sender", LMCACHE_CONFIG_FILE=str(path))
    assert seen.status == 1
    assert len(seen.faults) == 1
    assert seen.faults[0].startswith(f"LMCACHE_CONFIG_FILE: {path} " + fault.format(path=path))


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """What a node with two EFA devices and one of another make shows of them."""
    for name, driver in (("efa_0", "efa"), ("efa_1", "efa"), ("mlx5_0", "mlx5_core")):
        (tmp_path / "drivers" / driver).mkdir(parents=True, exist_ok=True)
        (tmp_path / "class" / name / "device").mkdir(parents=True)
        (tmp_path / "class" / name / "device" / "driver").symlink_to(tmp_path / "drivers" / driver)
    (tmp_path / "dev").mkdir()
    for number in range(2):
        (tmp_path / "dev" / f"uverbs{number}").touch()
    return tmp_path


def efa(node: Path, wanted: int, **environment: str) -> Seen:
    places = ("--kernel", str(node / "class"), "--files", str(node / "dev"))
    return verify("settings", "--fabric", "efa", "--efa", str(wanted), *places, **environment)


def test_a_node_with_the_devices_that_the_pod_asks_for_passes(node: Path) -> None:
    assert efa(node, 2, FI_PROVIDER="efa").status == 0


def test_efa_that_was_asked_for_and_is_not_there_is_told(tmp_path: Path) -> None:
    remedy = "install EFA's driver and device plugin on the node, or set transfer.fabric to tcp"
    seen = efa(tmp_path, 4)
    assert seen.status == 1
    assert seen.faults == [
        f"EFA: 0 devices in the kernel, and the pod asks for 4; {remedy}",
        f"EFA: 0 device files can be opened, and the pod asks for 4; {remedy}",
        "FI_PROVIDER: None, so libfabric may take another fabric than EFA; set it to efa",
    ]


def test_devices_of_another_make_do_not_count_as_efa(node: Path) -> None:
    (node / "dev" / "uverbs2").touch()
    seen = efa(node, 3, FI_PROVIDER="efa")
    assert [each.partition(",")[0] for each in seen.faults] == ["EFA: 2 devices in the kernel"]


def test_this_very_machine_has_no_efa_and_is_told_so() -> None:
    if any(Path("/sys/class/infiniband").glob("efa*")):
        assert verify("settings", "--fabric", "efa", "--efa", "1", FI_PROVIDER="efa").status == 0
    else:
        assert verify("settings", "--fabric", "efa", "--efa", "1", FI_PROVIDER="efa").status == 1


@pytest.fixture
def engine() -> Iterator[Callable[[int, str], str]]:
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(health: int, metrics: str) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = metrics.encode() if self.path == "/metrics" else b""
                self.send_response(200 if self.path == "/metrics" else health)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/health"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def listening() -> Iterator[list[int]]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        yield [one.getsockname()[1], other.getsockname()[1]]


def test_an_engine_with_its_cache_is_ready(engine) -> None:
    assert verify("ready", "--role", "sender", "--url", engine(200, UP)).status == 0


def test_an_engine_that_is_not_healthy_is_not_ready(engine) -> None:
    url = engine(503, UP)
    seen = verify("ready", "--url", url)
    assert seen.faults == [
        f"{url}: HTTP Error 503: Service Unavailable; wait for the engine, or read its log",
    ]


def test_an_engine_that_serves_without_lmcache_is_not_ready(engine) -> None:
    seen = verify("ready", "--url", engine(200, DEGRADED))
    remedy = "look for `degraded mode (recompute)` in its log, the lines before it say why"
    assert seen.faults == [f"the engine serves without LMCache; {remedy}"]


def test_a_decoder_is_ready_when_all_its_ports_take_connections(engine, written, listening: list[int]) -> None:
    ports = {"pd_peer_init_port": listening[:1], "pd_peer_alloc_port": listening[1:], "pd_peer_host": "127.0.0.1"}
    file = written({**RECEIVER, **ports})
    assert verify("ready", "--role", "receiver", "--url", engine(200, UP), LMCACHE_CONFIG_FILE=file).status == 0


def test_a_decoder_whose_port_nobody_listens_on_is_not_ready(engine, written, listening: list[int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        dead = closing.getsockname()[1]
    ports = {"pd_peer_init_port": listening[:1], "pd_peer_alloc_port": [dead], "pd_peer_host": "127.0.0.1"}
    seen = verify(
        "ready", "--role", "receiver", "--url", engine(200, UP), LMCACHE_CONFIG_FILE=written({**RECEIVER, **ports})
    )
    assert seen.status == 1
    told = rf"nothing listens on 127\.0\.0\.1:{dead} \(.*refused.*\); read the engine's log of its start"
    assert re.fullmatch(f"pd_peer_alloc_port: {told}", "\n".join(seen.faults))


def test_the_program_runs_on_a_python_without_our_packages(engine) -> None:
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
    command = [python, "-I", "-B", str(PROGRAM), "ready", "--url", engine(200, UP)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
