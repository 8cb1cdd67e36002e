import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from model.running import PIECE, command, held, run, start


def journals(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.glob(".dpd-model/*.journal")]


def test_a_mounted_model_is_copied_byte_for_byte(source: Path, to: Path, files: dict[str, bytes]) -> None:
    done = run("copy", source, "--to", to)
    assert done.code == 0, done.said
    assert held(to) == files
    assert f"{to}: complete, 5 files" in done.said


def test_others_may_read_the_copy(source: Path, to: Path) -> None:
    (source / "config.json").chmod(0o600)
    assert run("copy", source, "--to", to).code == 0
    assert {path.stat().st_mode & 0o777 for path in to.rglob("*.json")} == {0o644}


def test_a_second_run_copies_nothing(source: Path, to: Path) -> None:
    run("copy", source, "--to", to)
    before = {path: path.stat().st_mtime_ns for path in to.rglob("*.safetensors")}
    done = run("copy", source, "--to", to)
    assert done.code == 0
    assert "421.97 KiB are here already" in done.said
    assert {path: path.stat().st_mtime_ns for path in to.rglob("*.safetensors")} == before


def test_a_copy_that_was_killed_goes_on_where_it_stopped(tmp_path: Path, to: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "large.safetensors").write_bytes(os.urandom(1024) * 65_536)
    process = start("copy", source, "--to", to, "--parallel", "1")
    deadline = time.monotonic() + 60
    while sum(text.count("\n") for text in journals(to)) < 40 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert not (to / "large.safetensors").exists()
    (text,) = journals(to)
    written = text.count("\n") - 1
    assert 39 <= written < 1024
    done = run("copy", source, "--to", to)
    assert done.code == 0
    assert f"{written * PIECE / 1024**2:.2f}".rstrip("0").rstrip(".") + " MiB are here already" in done.said
    assert held(to) == held(source)


def test_it_leaves_at_once_when_its_pod_is_deleted(tmp_path: Path, to: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "large.safetensors").write_bytes(bytes(64 * 1024**2))
    process = start("copy", source, "--to", to, "--parallel", "1")
    while not journals(to):
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM


def test_a_torn_journal_is_believed_up_to_its_last_whole_line(source: Path, to: Path, files: dict[str, bytes]) -> None:
    run("copy", source, "--to", to)
    name = "model-00001-of-00002.safetensors"
    (journal,) = [path for path in to.glob(".dpd-model/*.journal") if name in path.read_text()]
    header = journal.read_text().split("\n")[0]
    broken = bytearray(files[name])
    broken[PIECE:] = bytes(len(broken) - PIECE)
    (to / name).rename(journal.with_suffix(".partial"))
    journal.with_suffix(".partial").write_bytes(broken)
    journal.write_text(f"{header}\n0\n1")
    done = run("copy", source, "--to", to)
    assert done.code == 0, done.said
    assert held(to) == files


def test_a_file_that_changed_is_copied_anew_and_one_that_went_is_removed(source: Path, to: Path) -> None:
    run("copy", source, "--to", to)
    (source / "config.json").write_bytes(b"{}")
    (source / "sub folder" / "tokenizer.json").unlink()
    done = run("copy", source, "--to", to)
    assert done.code == 0
    assert held(to) == held(source)
    assert not (to / "sub folder").exists()


def test_a_copy_of_another_size_is_made_again(source: Path, to: Path, files: dict[str, bytes]) -> None:
    run("copy", source, "--to", to)
    (to / "config.json").write_bytes(b"{")
    assert run("copy", source, "--to", to).code == 0
    assert held(to) == files


def test_links_are_followed_as_a_hubs_cache_wants(source: Path, to: Path, files: dict[str, bytes]) -> None:
    snapshot = source.parent / "snapshot"
    snapshot.mkdir()
    for path in files:
        (snapshot / path).parent.mkdir(exist_ok=True)
        (snapshot / path).symlink_to(source / path)
    assert run("copy", snapshot, "--to", to).code == 0
    assert held(to) == files
    assert not any(path.is_symlink() for path in to.rglob("*"))


def test_a_link_that_goes_round_is_refused(source: Path, to: Path) -> None:
    (source / "again").symlink_to(source)
    done = run("copy", source, "--to", to)
    assert done.code == 1
    assert f"{source}/again: a link that leads back to a folder above it; remove it" in done.said


def test_a_model_that_cannot_fit_is_refused_before_anything_is_copied(source: Path, to: Path) -> None:
    with (source / "huge.safetensors").open("wb") as huge:
        huge.truncate(8 * 1024**4)
    done = run("copy", source, "--to", to, "--piece-bytes", "1073741824")
    assert done.code == 1
    assert f"{to}: 8192 GiB are still to come and " in done.said
    assert "GiB are free; raise prefetch.sizeLimit in the values, or the memory or disk behind it" in done.said
    assert held(to) == {}


def test_a_folder_that_fills_up_is_said_and_what_was_copied_stays(source: Path, to: Path) -> None:
    (source / "large.safetensors").write_bytes(bytes(400_000))
    done = run("copy", source, "--to", to, "--parallel", "1", file_limit=350_000)
    assert done.code == 1
    assert f"{to}: no room for the rest of large.safetensors (File too large); raise prefetch.sizeLimit" in done.said
    assert "large.safetensors" not in held(to)
    assert run("copy", source, "--to", to).code == 0
    assert held(to) == held(source)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_location_without_files_is_refused(tmp_path: Path, to: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    done = run("copy", tmp_path / name, "--to", to)
    assert done.code == 1
    assert f"{tmp_path / name}: no " in done.said.lower()
    assert "; check the model's location" in done.said
    assert "Traceback" not in done.said


def test_a_folder_that_cannot_be_written_is_said(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run("copy", source, "--to", tmp_path / "file" / "model")
    assert done.code == 1
    assert "Not a directory; look at the volume and who may write to it" in done.said
    assert "Traceback" not in done.said


def test_a_volume_in_memory_that_is_too_small_says_how_small_it_is(source: Path, to: Path) -> None:
    to.mkdir()
    small = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs -o size=256k small "$0" && "$@"',
    ]
    if subprocess.run([*small, str(to), "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel lets nobody but root mount a tmpfs; the test with a file limit covers a full folder")
    done = subprocess.run(
        [*small, str(to), *command("copy", source, "--to", to)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"{to}: 421.97 KiB are still to come and 256 KiB are free; raise prefetch.sizeLimit" in done.stderr
