"""What the controller is told when it starts."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Paths, places and numbers; `namespaces` is empty for the whole cluster, `shared` None without further values."""

    namespace: str
    identity: str
    lease: str
    helm: Path
    chart: Path
    shared: Path | None
    namespaces: tuple[str, ...]
    router_namespaces: tuple[str, ...]
    workers: int
    metrics_host: str
    metrics_port: int
