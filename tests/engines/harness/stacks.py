"""Beside the path: which endpoints run. One disaggregated endpoint at a time, so that a small machine carries it.

Starting engines takes most of a run's time, so an endpoint stays up until a test asks for another one.
"""

import keyword
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from dpd_local.plan import Plan, Runtime
from engines.harness import prompts
from engines.harness.client import post
from engines.harness.endpoint import (
    Document,
    Endpoint,
    by_nixl_connector,
    colocated,
    document,
    prepare,
    serving,
    with_router,
    with_variable,
)

PAGE_BYTES = 2 * 2 * 256 * 64 * 4
"""Keys and values of 2 layers, 256 tokens, 1 head of 64 floats."""
SMALL_PAGES = 24


class Stacks:
    """Starts endpoints when they are first asked for and ends them with the session."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self._runtime = runtime
        self._folder = folder
        self._reference: Endpoint | None = None
        self._current: tuple[str, Endpoint] | None = None
        self._vocabulary: list[int] = []
        self._started = 0
        self._all = ExitStack()
        self._changing = ExitStack()

    def __enter__(self) -> "Stacks":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._changing.close()
        self._all.close()

    def reference(self) -> Endpoint:
        """The colocated engine; it stays for the whole session."""
        if self._reference is None:
            folder = self._folder / "colocated"
            planned = prepare(self._runtime, colocated(document()), folder)
            self._reference = self._all.enter_context(serving(planned, folder))
        return self._reference

    def vocabulary(self) -> list[int]:
        """Token ids that the engines know: those of some text."""
        if not self._vocabulary:
            asked = {"model": "tiny", "prompt": prompts.text(50) + " ".join(keyword.kwlist)}
            self._vocabulary = sorted(set(post(self.reference().url(), "/tokenize", asked)["tokens"]))
        return self._vocabulary

    def disaggregated(self) -> Endpoint:
        """The endpoint of endpoint.yaml."""
        return self._use("disaggregated", document)

    def small(self) -> Endpoint:
        """The same with buffers of SMALL_PAGES pages."""
        size = str(SMALL_PAGES * PAGE_BYTES)
        return self._use(
            "small",
            lambda: with_variable(document(), "PD_BUFFER_SIZE", size),
            {"pagesPerDecoder": SMALL_PAGES, "routers": {"most": 1, "surge": 0}},
        )

    def nixl(self) -> Endpoint:
        """The endpoint of endpoint.yaml with vLLM's NixlConnector."""
        return self._use("nixl", lambda: by_nixl_connector(document()))

    def made(self, name: str, make: Callable[[], Document]) -> Endpoint:
        """An endpoint that a test describes itself; it stays until another name is asked for."""
        return self._use(name, make)

    def stop(self) -> None:
        """End the disaggregated endpoint: the next test that asks for one gets a fresh one."""
        self._changing.close()
        self._current = None

    def several(self, role: str) -> Endpoint:
        """The endpoint of endpoint.yaml with two engines of a role. Ends the colocated engine, to have room."""
        if self._reference is not None:
            self._all.close()
            self._reference = None
        return self._use(f"two-{role}", document, replicas={role: 2})

    def without_cache(self, role: str) -> AbstractContextManager[Endpoint]:
        """One engine of endpoint.yaml without the plugin that LMCache needs on a processor: LMCache fails to start."""
        bare = replace(self._runtime, environment={**self._runtime.environment, "VLLM_PLUGINS": "none"})
        folder = self._folder / f"without-cache-{role}"
        planned = prepare(bare, document(), folder)
        return serving(Plan(planned.of_role(role)), folder)

    def _use(
        self,
        name: str,
        make: Callable[[], Document],
        transfer: Mapping[str, Any] | None = None,
        replicas: Mapping[str, int] | None = None,
    ) -> Endpoint:
        if self._current is None or self._current[0] != name:
            self.stop()
            # A folder of its own each time, for logs are appended to.
            self._started += 1
            folder = self._folder / f"{name}-{self._started}"
            planned = prepare(replace(self._runtime, replicas=replicas or {}), make(), folder)
            if transfer:
                planned = with_router(planned, "transfer", transfer)
            self._current = name, self._changing.enter_context(serving(planned, folder))
        return self._current[1]
