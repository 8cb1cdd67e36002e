"""Part of the environment: stand-ins for NVIDIA's libraries, so that torch loads without 4 GB of them.

The index's torch is a CUDA build: its shared libraries name about 15 NVIDIA libraries and thousands of their symbols.
For each of them gcc makes a library with just these symbols; every function returns 100, which CUDA's runtime calls
"no device". torch then finds no GPU, as on any machine without one. Needs gcc and readelf. For test environments only.
"""

import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_OURS = re.compile(
    r"(libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s|ld-linux.*|libtorch.*|libc10.*|libshm|libgomp.*)\.so"
)
_NEEDED = re.compile(r"NEEDED.*\[(.*)\]")
_PREFIXES = {
    "libcudart": r"cuda[A-Z]|__cuda",
    "libcublasLt": r"cublasLt",
    "libcublas": r"cublas(?!Lt)",
    "libcudnn": r"cudnn",
    "libcufft": r"cufft",
    "libcurand": r"curand",
    "libcusparseLt": r"cusparseLt",
    "libcusparse": r"cusparse(?!Lt)",
    "libcusolver": r"cusolver",
    "libnccl": r"p?nccl",
    "libcufile": r"cuFile",
    "libcupti": r"cupti",
    "libnvshmem_host": r"nvshmem",
    "libnvToolsExt": r"nvtx",
    "libnvrtc": r"nvrtc",
    "libnvJitLink": r"(__)?nvJitLink",
}
# Registering device code must hand back something to register with; everything else may fail.
_REGISTER = "__cudaRegisterFatBinary"


@dataclass
class Symbols:
    """What a set of libraries needs and defines; an undefined symbol has its versions and whether it is data."""

    needed: set[str] = field(default_factory=set)
    defined: set[str] = field(default_factory=set)
    undefined: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    data: set[str] = field(default_factory=set)


def make(lib: Path, libraries: Iterable[Path]) -> list[str]:
    """Write a stub into `lib` for every NVIDIA library that `libraries` need; returns their names."""
    symbols = read(libraries)
    for soname in sorted(symbols.needed):
        compile_stub(lib / soname, members(soname, symbols), symbols)
    return sorted(symbols.needed)


def read(libraries: Iterable[Path]) -> Symbols:
    """Ask readelf what the libraries need from others."""
    symbols = Symbols()
    for library in libraries:
        found = (_NEEDED.search(line) for line in _readelf("-d", library))
        symbols.needed |= {match[1] for match in found if match and not _OURS.match(match[1])}
        for line in _readelf("--dyn-syms", library):
            _note(line.split(), symbols)
    return symbols


def _readelf(what: str, library: Path) -> Iterator[str]:
    command = ["readelf", what, "-W", str(library)]
    return iter(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def _note(columns: list[str], symbols: Symbols) -> None:
    """One line of a symbol table: number, value, size, type, binding, visibility, section, name@version."""
    if len(columns) < 8 or not columns[0].rstrip(":").isdigit():
        return
    kind, binding, section = columns[3], columns[4], columns[6]
    name, _, version = columns[7].partition("@")
    if section != "UND":
        symbols.defined.add(name)
    elif binding != "WEAK":
        symbols.undefined[name].add(version.lstrip("@"))
        if kind == "OBJECT":
            symbols.data.add(name)


def members(soname: str, symbols: Symbols) -> Mapping[str, set[str]]:
    """The undefined symbols that belong to a library, by their prefix or their version, with their versions."""
    base = soname.split(".so")[0]
    prefix = re.compile(_PREFIXES[base]) if base in _PREFIXES else None

    def belongs(name: str, versions: set[str]) -> bool:
        by_version = any(each == soname or each.startswith(f"{base}.so") for each in versions)
        return by_version or bool(prefix and prefix.match(name))

    open_ones = {name: versions for name, versions in symbols.undefined.items() if name not in symbols.defined}
    return {name: versions for name, versions in open_ones.items() if belongs(name, versions)}


def source(names: Iterable[str], data: set[str]) -> str:
    """C for the symbols."""
    lines = []
    for name in sorted(names):
        if name in data:
            lines.append(f"char {name}[4096];")
        elif name == _REGISTER:
            lines.append(f"static void *handle[4]; void *{name}(void) {{ return handle; }}")
        else:
            lines.append(f"long {name}(void) {{ return 100; }}")
    return "\n".join(lines) + "\n"


def version_script(wanted: Mapping[str, set[str]]) -> str:
    """The linker's version script: each version with its symbols; empty when no symbol has one."""
    by_version: dict[str, list[str]] = defaultdict(list)
    for name, versions in sorted(wanted.items()):
        for version in versions:
            if version:
                by_version[version].append(name)
    return "".join(f"{each} {{ global: {' '.join(f'{n};' for n in names)} }};\n" for each, names in by_version.items())


def compile_stub(target: Path, wanted: Mapping[str, set[str]], symbols: Symbols) -> None:
    """Let gcc make one library."""
    with tempfile.TemporaryDirectory() as folder:
        code, script = Path(folder) / "stub.c", Path(folder) / "stub.map"
        code.write_text(source(wanted, symbols.data))
        script.write_text(version_script(wanted))
        command = ["gcc", "-shared", "-fPIC", "-w", "-o", str(target), str(code), f"-Wl,-soname,{target.name}"]
        if script.stat().st_size:
            command.append(f"-Wl,--version-script={script}")
        target.unlink(missing_ok=True)
        subprocess.run(command, check=True)
