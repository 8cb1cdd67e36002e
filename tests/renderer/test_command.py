import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dpd as package
from support.paths import CASES, EXAMPLES, ROOT

EXAMPLE = EXAMPLES / "llama-3.3-70b-dpd.yaml"
UNWISE = CASES / "accept" / "self-signed" / "endpoint.yaml"
DPD = [sys.executable, "-m", "dpd"]


def test_render_writes_the_same_to_a_file_as_to_standard_output(dpd: Callable[..., Any], tmp_path: Path) -> None:
    target = tmp_path / "values.yaml"
    assert dpd("render", EXAMPLE, "-o", target).code == 0
    assert target.read_text(encoding="utf-8") == dpd("render", EXAMPLE).out


def test_a_dash_reads_standard_input(dpd: Callable[..., Any]) -> None:
    ran = dpd("render", "-", stdin=UNWISE.read_bytes())
    assert ran.code == 0
    assert ran.out == dpd("render", UNWISE).out
    assert ran.err.startswith("warning: stdin:")


def test_validate_takes_files_and_standard_input_together(dpd: Callable[..., Any], manifest: Any) -> None:
    ran = dpd("validate", EXAMPLE, "-", stdin=manifest().encode())
    assert ran.code == 0
    assert ran.out == f"{EXAMPLE}: 1 endpoint, valid\nstdin: 1 endpoint, valid\n"


def test_a_bad_file_among_good_ones_is_told_apart(dpd: Callable[..., Any], manifest: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(manifest({"spec.pdSpec.prefillSpec.replicas": 0}))
    ran = dpd("validate", bad, "-", stdin=manifest().encode())
    assert ran.code == 1
    assert ran.out == "stdin: 1 endpoint, valid\n"
    assert ran.err.endswith("spec.pdSpec.prefillSpec.replicas: 0 is less than 1; write 1 or more\n")


def test_strict_turns_warnings_into_errors(dpd: Callable[..., Any], tmp_path: Path) -> None:
    ran = dpd("render", "--strict", UNWISE, "-o", tmp_path / "values.yaml")
    assert ran.code == 1
    assert ran.err.startswith(f"{UNWISE}:8: spec.endpointName: nobody serves SageMaker's API for it")
    assert list(tmp_path.iterdir()) == []


def test_strict_lets_a_manifest_without_warnings_pass(dpd: Callable[..., Any], manifest: Any) -> None:
    ran = dpd("validate", "--strict", "-", stdin=manifest().encode())
    assert (ran.code, ran.err) == (0, "")


def test_an_existing_file_is_kept_when_the_manifest_is_bad(
    dpd: Callable[..., Any], manifest: Any, tmp_path: Path
) -> None:
    target = tmp_path / "values.yaml"
    target.write_text("mine: true\n")
    ran = dpd("render", "-", "-o", target, stdin=manifest({"spec.worker.image": None}).encode())
    assert ran.code == 1
    assert target.read_text() == "mine: true\n"
    assert [each.name for each in tmp_path.iterdir()] == ["values.yaml"]


def test_an_existing_file_is_replaced_as_a_whole(dpd: Callable[..., Any], tmp_path: Path) -> None:
    target = tmp_path / "values.yaml"
    target.write_text("mine: true\n")
    target.chmod(0o600)
    assert dpd("render", EXAMPLE, "-o", target).code == 0
    assert "mine" not in target.read_text()
    assert [each.name for each in tmp_path.iterdir()] == ["values.yaml"]


def test_a_written_file_has_the_mode_any_new_file_would_have(dpd: Callable[..., Any], tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert dpd("render", EXAMPLE, "-o", tmp_path / "values.yaml").code == 0
    modes = {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert modes == {stat.S_IMODE(plain.stat().st_mode)}


def test_a_link_is_written_through(dpd: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text("old\n")
    (tmp_path / "values.yaml").symlink_to("real.yaml")
    assert dpd("render", EXAMPLE, "-o", tmp_path / "values.yaml").code == 0
    assert (tmp_path / "values.yaml").is_symlink()
    assert (tmp_path / "real.yaml").read_text().startswith("# Values of")


def test_a_pipe_is_written_to_in_place(dpd: Callable[..., Any], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert dpd("render", EXAMPLE, "-o", pipe).code == 0
        assert os.read(reader, 65536).startswith(b"# Values of")
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_the_next_command_names_the_file_written(dpd: Callable[..., Any], tmp_path: Path) -> None:
    assert dpd("render", EXAMPLE, "-o", tmp_path / "mine.yaml").code == 0
    lines = (tmp_path / "mine.yaml").read_text().splitlines()
    assert lines[2] == "# Next: helm install dpd-test charts/dpd --namespace default -f mine.yaml"


def test_a_missing_file_is_bad_usage(dpd: Callable[..., Any]) -> None:
    ran = dpd("validate", "nowhere.yaml")
    assert ran.code == 2
    assert ran.err == "dpd: nowhere.yaml: no such file; give the path of an InferenceEndpointConfig\n"


def test_a_missing_file_does_not_hide_problems_of_others(dpd: Callable[..., Any], manifest: Any) -> None:
    text = manifest({"spec.worker.image": None})
    ran = dpd("validate", "nowhere.yaml", "-", stdin=text.encode())
    assert ran.code == 2
    assert "spec.worker.image: required; add it" in ran.err


def test_a_folder_is_no_manifest(dpd: Callable[..., Any], tmp_path: Path) -> None:
    ran = dpd("render", tmp_path)
    assert ran.code == 2
    assert ran.err == f"dpd: {tmp_path}: is a folder; give the path of an InferenceEndpointConfig in it\n"


def test_a_name_with_a_null_byte_is_bad_usage(dpd: Callable[..., Any]) -> None:
    ran = dpd("validate", "a\0b")
    assert ran.code == 2
    assert ran.err.endswith("; give the path of an InferenceEndpointConfig\n")


def test_an_empty_name_is_bad_usage(dpd: Callable[..., Any], manifest: Any) -> None:
    ran = dpd("validate", "")
    assert (ran.code, ran.err) == (2, "dpd: FILE is empty; give the path of an InferenceEndpointConfig\n")
    ran = dpd("render", "-", "-o", "", stdin=manifest().encode())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "dpd: -o: the path is empty; give a file, a folder (PATH/), or - for standard output\n"


def test_any_other_refusal_of_the_system_has_a_remedy_too(dpd: Callable[..., Any]) -> None:
    ran = dpd("validate", EXAMPLE / "x.yaml")
    assert ran.code == 2
    assert ran.err == f"dpd: {EXAMPLE}/x.yaml: not a directory; give the path of an InferenceEndpointConfig\n"


def test_standard_input_is_read_once(dpd: Callable[..., Any], manifest: Any) -> None:
    ran = dpd("validate", "-", "-", stdin=manifest().encode())
    assert ran.code == 2
    assert ran.out == "stdin: 1 endpoint, valid\n"
    assert ran.err == "dpd: standard input is given twice, and can be read once; write - only once\n"


def test_an_output_in_no_folder_is_bad_usage(dpd: Callable[..., Any], tmp_path: Path) -> None:
    ran = dpd("render", EXAMPLE, "-o", tmp_path / "no" / "values.yaml")
    assert ran.code == 2
    assert f"{tmp_path}/no/: no such folder; make it first: mkdir -p {tmp_path}/no" in ran.err


def test_an_output_the_system_refuses_is_bad_usage(dpd: Callable[..., Any], tmp_path: Path) -> None:
    ran = dpd("render", EXAMPLE, "-o", tmp_path / ("x" * 300))
    assert ran.code == 2
    assert ran.err.endswith(": the name is too long; give a shorter one to -o\n")
    assert list(tmp_path.iterdir()) == []


def test_an_output_with_a_null_byte_is_bad_usage(dpd: Callable[..., Any]) -> None:
    assert dpd("render", EXAMPLE, "-o", "a\0b").code == 2


@pytest.mark.parametrize("argv", [["--nonsense"], ["render"], ["validate"], [], ["rendr", "x"]])
def test_a_wrong_command_line_is_bad_usage(argv: list[str], dpd: Callable[..., Any]) -> None:
    ran = dpd(*argv)
    assert ran.code == 2
    assert ran.err.startswith("usage: dpd")


def test_the_version_is_the_packages(dpd: Callable[..., Any]) -> None:
    ran = dpd("--version")
    project = (ROOT / "renderer" / "pyproject.toml").read_text(encoding="utf-8")
    assert (ran.code, ran.out) == (0, f"dpd {package.__version__}\n")
    assert f'version = "{package.__version__}"' in project


def test_several_endpoints_come_out_as_one_stream(dpd: Callable[..., Any], manifest: Any) -> None:
    text = manifest() + "---\n" + manifest({"metadata.name": "other"})
    ran = dpd("render", "-", stdin=text.encode())
    assert ran.code == 0
    assert ran.out.count("\n---\n") == 1
    assert [line for line in ran.out.splitlines() if line.startswith("nameOverride")] == [
        "nameOverride: dpd-test",
        "nameOverride: other",
    ]


def test_several_endpoints_go_into_a_folder(dpd: Callable[..., Any], manifest: Any, tmp_path: Path) -> None:
    text = manifest() + "---\n" + manifest({"metadata.name": "other", "metadata.namespace": None})
    ran = dpd("render", "-", "-o", f"{tmp_path}/", stdin=text.encode())
    assert ran.code == 0
    assert ran.out == f"wrote {tmp_path}/default-dpd-test.yaml\nwrote {tmp_path}/default-other.yaml\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["default-dpd-test.yaml", "default-other.yaml"]


def test_a_folder_that_exists_needs_no_slash_and_the_file_in_it_is_named(
    dpd: Callable[..., Any], manifest: Any, tmp_path: Path
) -> None:
    ran = dpd("render", "-", "-o", tmp_path, stdin=manifest().encode())
    assert (ran.code, ran.out) == (0, f"wrote {tmp_path}/default-dpd-test.yaml\n")


def test_several_endpoints_do_not_fit_one_file(dpd: Callable[..., Any], manifest: Any, tmp_path: Path) -> None:
    text = manifest() + "---\n" + manifest({"metadata.name": "other"})
    ran = dpd("render", "-", "-o", tmp_path / "values.yaml", stdin=text.encode())
    assert ran.code == 2
    assert "2 endpoints do not fit one values file; give a folder instead: -o " in ran.err
    assert list(tmp_path.iterdir()) == []


def test_one_bad_endpoint_of_several_writes_none(dpd: Callable[..., Any], manifest: Any, tmp_path: Path) -> None:
    text = manifest() + "---\n" + manifest({"metadata.name": "other", "spec.worker.image": None})
    assert dpd("render", "-", "-o", f"{tmp_path}/", stdin=text.encode()).code == 1
    assert list(tmp_path.iterdir()) == []


def test_several_files_are_rendered_in_one_call(dpd: Callable[..., Any], manifest: Any, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.yaml" for name in ("one", "two")]
    for file in files:
        file.write_text(manifest({"metadata.name": file.stem}))
    ran = dpd("render", *files, "-o", f"{tmp_path}/")
    assert (ran.code, ran.out) == (0, f"wrote {tmp_path}/default-one.yaml\nwrote {tmp_path}/default-two.yaml\n")
    alone = dpd("render", files[1], "-o", f"{tmp_path}/default-two.yaml")
    assert alone.code == 0
    assert dpd("render", *files).out.endswith("\n---\n" + dpd("render", files[1]).out)


def test_nothing_is_written_of_several_files_when_one_is_bad_or_missing(
    dpd: Callable[..., Any], manifest: Any, tmp_path: Path
) -> None:
    good, bad, folder = tmp_path / "good.yaml", tmp_path / "bad.yaml", tmp_path / "out"
    folder.mkdir()
    good.write_text(manifest())
    bad.write_text(manifest({"spec.worker.image": None}))
    assert dpd("render", good, bad, "-o", folder).code == 1
    ran = dpd("render", bad, tmp_path / "none.yaml", good, "-o", folder)
    assert ran.code == 2
    assert "none.yaml: no such file" in ran.err
    assert f"{bad}:" in ran.err, "what is wrong with the others is told as well"
    assert list(folder.iterdir()) == []


def test_two_files_that_describe_one_endpoint_are_not_rendered_over_each_other(
    dpd: Callable[..., Any], manifest: Any, tmp_path: Path
) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(manifest())
    ran = dpd("render", tmp_path / "a.yaml", tmp_path / "b.yaml", "-o", f"{tmp_path}/out")
    fact = f"dpd-test in namespace default is already described in {tmp_path}/a.yaml"
    assert ran.err == f"dpd: {tmp_path}/b.yaml: {fact}; rename one, or leave one of the files out\n"
    assert ran.code == 2


def test_endpoints_of_one_name_in_two_namespaces_are_two(dpd: Callable[..., Any], manifest: Any) -> None:
    text = manifest() + "---\n" + manifest({"metadata.namespace": "other"})
    assert dpd("validate", "-", stdin=text.encode()).out == "stdin: 2 endpoints, valid\n"


def test_the_same_manifest_gives_the_same_bytes_in_any_process() -> None:
    outputs = {
        subprocess.run(
            [*DPD, "render", str(EXAMPLE)], capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_output_is_utf_8_in_any_locale(manifest: Any) -> None:
    text = manifest({"spec.worker.environmentVariables.0": {"name": "PYTHONHASHSEED", "value": "☃"}})
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ran = subprocess.run([*DPD, "render", "-"], input=text.encode(), capture_output=True, check=True, env=environment)
    assert "☃".encode() in ran.stdout
    assert b"Traceback" not in ran.stderr


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    process = subprocess.Popen([*DPD, "validate", "-"], stdin=-1, stdout=-1, stderr=-1)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(EXAMPLE.read_bytes())
    assert process.returncode == 141
    assert b"Traceback" not in err


def test_an_interrupt_is_no_traceback() -> None:
    held = signal.signal(signal.SIGINT, signal.default_int_handler)  # what is ignored here is ignored by children, too
    process = subprocess.Popen([*DPD, "validate", str(EXAMPLE), "-"], stdin=-1, stdout=-1, stderr=-1)
    signal.signal(signal.SIGINT, held)
    assert process.stdout is not None
    assert process.stdout.readline()  # the example is done, so it waits for standard input now
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in err


@pytest.mark.parametrize("command", ["validate", "size"])
@pytest.mark.parametrize("redirection", ["<&-", ">&-", ">/dev/full"])
def test_a_closed_or_full_stream_is_bad_usage(command: str, redirection: str) -> None:
    shell = f"{sys.executable} -m dpd {command} {'-' if '<' in redirection else EXAMPLE} {redirection}"
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ran = subprocess.run(["bash", "-c", shell], capture_output=True, check=False, text=True, env=usual)
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1].startswith("dpd: standard ")
    assert "Traceback" not in ran.stderr


def test_warnings_stay_out_of_the_values_where_standard_error_is_closed() -> None:
    told = subprocess.run([*DPD, "render", str(UNWISE)], capture_output=True, check=True)
    assert told.stderr.startswith(b"warning: ")
    shell = f"{sys.executable} -m dpd render {UNWISE} 2>&-"
    assert subprocess.run(["bash", "-c", shell], stdout=-1, check=True).stdout == told.stdout


def test_render_loads_nothing_of_the_other_commands() -> None:
    code = "import sys, dpd.cli; dpd.cli.main(['render', sys.argv[1], '-o', '/dev/null'])\n"
    check = "print(sorted(each for each in sys.modules if each.startswith(('dpd.size', 'dpd.explain', 'dpd.doctor'))))"
    ran = subprocess.run([sys.executable, "-c", code + check, str(EXAMPLE)], capture_output=True, check=True, text=True)
    assert ran.stdout.splitlines()[-1] == str(
        ["dpd.doctor", "dpd.doctor.arguments", "dpd.explain", "dpd.explain.arguments", "dpd.size", "dpd.size.arguments"]
    )


def test_help_loads_neither_yaml_nor_the_schema_validator() -> None:
    code = "import sys, dpd.cli; sys.argv = ['dpd', '--help']\ntry: dpd.cli.main()\nexcept SystemExit: pass\n"
    check = "print(sorted({'yaml', 'jsonschema'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code + check], capture_output=True, check=True, text=True)
    assert ran.stdout.splitlines()[-1] == "[]"
