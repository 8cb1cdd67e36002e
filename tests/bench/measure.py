"""Second step: one case against one peer, with engines and a peer of its own."""

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from bench.cases import DIRECT, Case, Figure
from bench.meters import used_by
from bench.peers import CACHE, PEERS, Place, running
from support.ports import free_ports

HERE = Path(__file__).resolve().parent
WIRE = CACHE / "wire"
SLOW_SECONDS = 4.0
STREAMING = Case("2,000 streams", 2000, 2000, 1024, 40, "250ms")
ENDLESS = Case("slow readers", 8, 8, 1024, 100_000)


def build() -> None:
    """Compile the engine and the clients."""
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-o", str(WIRE), "."], cwd=HERE / "wire", check=True)


@dataclass(frozen=True)
class Standing:
    """A peer that runs: where it listens, and its process."""

    port: int
    pid: int


@contextlib.contextmanager
def standing(peer: str, case: Case) -> Iterator[Standing]:
    """Run four engines and a peer before them until the block ends; of `direct`, the first engine is the peer."""
    ports = free_ports(5)
    with tempfile.TemporaryDirectory(prefix="dpd-bench-") as name:
        engines = [subprocess.Popen([WIRE, "engine", str(port), case.spacing]) for port in ports[1:]]
        try:
            if peer == DIRECT:
                _answers(ports[1])
                yield Standing(ports[1], engines[0].pid)
                return
            tls = _certificate(Path(name)) if case.tls else None
            place = Place(Path(name), ports[0], ports[1:3], ports[3:] if case.pd else (), tls)
            with running(PEERS[peer](place), ports[0], Path(name), tls=case.tls) as pid:
                yield Standing(ports[0], pid)
        finally:
            for each in engines:
                each.terminate()
                each.wait()


def measure(peer: str, case: Case, share: float = 1.0) -> Figure:
    """Warm a peer up and run a share of a load. Raises RuntimeError when a request failed."""
    with standing(peer, case) as there:
        _load(there.port, case, min(share, 0.1))
        before = used_by(there.pid)
        told = _load(there.port, case, share)
        after = used_by(there.pid)
    if told["failed"]:
        raise RuntimeError(f"{peer}, {case.name}: {told['failed']} requests failed, first: {told.get('first_failure')}")
    units = told["events"] if case.unit == "event" else told["requests"]
    return Figure((after.seconds - before.seconds) * 1e6 / units, told["p50_us"], after.memory / 1e6)


def streams(peer: str) -> float:
    """Return a peer's memory in MB while 2,000 streams stand."""
    with standing(peer, STREAMING) as there:
        load = subprocess.Popen(command(there.port, STREAMING, 1.0), stdout=subprocess.PIPE, text=True)
        most = 0
        while load.poll() is None:
            most = max(most, used_by(there.pid).memory)
            time.sleep(0.25)
        told = json.loads(load.communicate()[0])
    if told["failed"]:
        raise RuntimeError(f"{peer}, {STREAMING.name}: {told['failed']} failed, first: {told.get('first_failure')}")
    return most / 1e6


def slow_readers(peer: str) -> float:
    """Return by how many MB a peer grows behind each client that reads a byte in a second of what comes at full speed.

    What fast ones take is not the slow ones': they come first, and again as many.
    """
    with standing(peer, ENDLESS) as there:
        _load(there.port, ENDLESS, 1.0)
        before = used_by(there.pid).memory
        load = subprocess.Popen([*command(there.port, ENDLESS, 1.0), "-slow"], stdout=subprocess.DEVNULL)
        try:
            time.sleep(SLOW_SECONDS)
            return max(0.0, (used_by(there.pid).memory - before) / 1e6 / ENDLESS.clients)
        finally:
            load.kill()
            load.wait()


def command(port: int, case: Case, share: float) -> list[str]:
    """Return the command that runs a share of a load."""
    return [str(WIRE), "load", "-to", f"127.0.0.1:{port}", *case.flags(share)]


def _load(port: int, case: Case, share: float) -> dict[str, Any]:
    done = subprocess.run(command(port, case, share), check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _answers(port: int) -> None:
    """Wait until an engine answers."""
    one = Case("one", 1, 1, 1024)
    for _ in range(50):
        if not _load(port, one, 1.0)["failed"]:
            return
        time.sleep(0.1)
    raise RuntimeError(f"the engine on port {port} does not answer")


def _certificate(folder: Path) -> tuple[Path, Path]:
    issued = trustme.CA().issue_cert("127.0.0.1")
    certificate, key = folder / "tls.crt", folder / "tls.key"
    certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(key)
    return certificate, key


def chosen(names: Sequence[str], only: str) -> list[str]:
    """Return those of `names` that `only` holds, which is names with commas between; all for none."""
    return [each for each in names if not only or each in only.split(",")]
