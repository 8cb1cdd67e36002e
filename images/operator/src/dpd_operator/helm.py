"""Helm as a process: one release for each endpoint, all of them in the controller's own namespace.

There, no tenant can touch what Helm remembers, which is what it deletes by.
"""

import hashlib
import logging
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dpd_operator.core.objects import Tree
from dpd_operator.core.planning import Plan
from dpd_operator.core.release import DIGEST_LABEL, parse
from dpd_operator.seams import HelmError

_HISTORY = 5
_SECONDS = 120
_NOT_THERE = "release: not found"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Helm:
    """The program, the dpd chart, values that all endpoints share, the namespace of the releases, whether to act."""

    program: Path
    chart: Path
    shared: Path | None
    namespace: str
    may_act: Callable[[], bool] = lambda: True

    @property
    def made_from(self) -> str:
        """One word for the chart and the shared values: another word means that every release is due an upgrade."""
        digest = hashlib.sha256()
        files = sorted(each for each in self.chart.rglob("*") if each.is_file())
        for each in [*files, *([self.shared] if self.shared else [])]:
            digest.update(str(each.relative_to(self.chart) if each.is_relative_to(self.chart) else "shared").encode())
            digest.update(each.read_bytes())
        return digest.hexdigest()

    def upgrade(self, plan: Plan) -> None:
        """Install or upgrade a release. Raises HelmError."""
        label = f"{DIGEST_LABEL}={plan.digest}"
        how = ["--install", "--history-max", str(_HISTORY), "--labels", label]
        # What somebody else wrote into a field of ours is taken back.
        self._with_values("upgrade", plan, [*how, "--server-side=true", "--force-conflicts"])

    def render(self, plan: Plan) -> tuple[Tree, ...]:
        """Return the objects a plan stands for without touching the cluster. Raises HelmError."""
        return parse(self._with_values("template", plan, ["--skip-tests"]))

    def uninstall(self, release: str) -> None:
        """Remove a release and its objects; nothing happens when there is none. Raises HelmError."""
        self._run(["uninstall", release, "--namespace", self.namespace, "--ignore-not-found"])

    def _with_values(self, verb: str, plan: Plan, flags: Sequence[str]) -> str:
        with tempfile.TemporaryDirectory(prefix="dpd-values-") as folder:
            values = Path(folder) / "values.yaml"
            values.write_text(plan.values, encoding="utf-8")
            files = [each for each in (self.shared, values) if each is not None]
            given = [word for each in files for word in ("--values", str(each))]
            return self._run([verb, plan.release, str(self.chart), "--namespace", self.namespace, *given, *flags])

    def _run(self, arguments: Sequence[str]) -> str:
        if not self.may_act():
            raise HelmError(f"helm {arguments[0]}: not run, another replica may lead by now")
        _LOG.debug("helm %s", " ".join(arguments))
        try:
            done = subprocess.run(
                [str(self.program), *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
                env={**os.environ, "HELM_DRIVER": "secret"},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HelmError(f"helm {arguments[0]}: {error}") from error
        if done.returncode:
            raise HelmError(f"helm {arguments[0]}: {done.stderr.strip()[-2000:]}")
        return done.stdout
