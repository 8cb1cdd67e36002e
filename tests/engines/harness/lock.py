"""Beside the path: resolve requirements.lock and requirements-uv.lock anew. `python -m engines.harness.lock`.

With hashes and without addresses, so that any index serves them. NVIDIA's own packages are left out:
stubs replace them.
"""

import sys
from pathlib import Path

from engines.harness.build import ENGINES, LOCK, UV_LOCK, run, uv

# Later releases of what vLLM leaves open (openai 3, starlette 1) were not tried with it.
BEFORE = "2026-04-20"
NVIDIA = (
    *("cublas", "cuda-cupti", "cuda-nvrtc", "cuda-runtime", "cudnn", "cufft", "cufile", "curand", "cusolver"),
    *("cusparse", "cusparselt", "nccl", "nvjitlink", "nvshmem", "nvtx"),
)
LEFT_OUT = ("cuda-bindings", "cuda-pathfinder", "cupy-cuda12x", "triton", *(f"nvidia-{each}-cu12" for each in NVIDIA))


def main() -> int:
    """Write both files."""
    compiler: list[str | Path] = [uv(), "pip", "compile", "--quiet", "--generate-hashes", "--no-emit-index-url"]
    compiler += ["--no-annotate", "--no-header", "--python-version", "3.11"]
    compiler += ["--python-platform", "x86_64-unknown-linux-gnu"]
    run(*compiler, ENGINES / "requirements-uv.in", "-o", UV_LOCK)
    left_out = [part for each in LEFT_OUT for part in ("--no-emit-package", each)]
    overrides = ["--override", str(ENGINES / "overrides.txt"), "--exclude-newer", BEFORE]
    run(*compiler, *overrides, *left_out, ENGINES / "requirements.in", "-o", LOCK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
