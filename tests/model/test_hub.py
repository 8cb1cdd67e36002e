from pathlib import Path

import pytest

from model.conftest import MODEL
from model.hub import COMMIT, Gate, Hub
from model.running import PIECE, held, run, start

LARGE = "model-00001-of-00002.safetensors"
AT = f"{MODEL}@{COMMIT}"


def env(hub: Hub, **more: str) -> dict[str, str]:
    return {"HF_ENDPOINT": hub.url, **more}


def test_a_model_is_downloaded_at_its_commit(hub: Hub, to: Path) -> None:
    done = run("hub", AT, "--to", to, env=env(hub))
    assert done.code == 0, done.said
    assert held(to) == hub.files
    assert {each.path for each in hub.asked} == set(hub.files) - {"empty.txt"}


def test_without_a_commit_the_newest_is_looked_up_once_and_said(hub: Hub, to: Path) -> None:
    del hub.commits["main"]
    hub.commits["main"] = COMMIT
    done = run("hub", f"{MODEL}@main", "--to", to, env=env(hub))
    assert done.code == 0, done.said
    assert f"{MODEL}: commit {COMMIT}" in done.said
    assert held(to) == hub.files


def test_a_large_file_comes_in_pieces(hub: Hub, to: Path) -> None:
    assert run("hub", AT, "--to", to, "--parallel", "1", env=env(hub)).code == 0
    starts = range(0, 300_000, PIECE)
    assert hub.ranges(LARGE) == [f"bytes={start}-{min(start + PIECE, 300_000) - 1}" for start in starts]


def test_the_token_goes_to_the_hub_and_never_to_the_host_it_redirects_to(hub: Hub, to: Path) -> None:
    hub.token = "hf_secret"
    done = run("hub", AT, "--to", to, env=env(hub, HF_TOKEN="hf_secret"))
    assert done.code == 0, done.said
    assert {each.token for each in hub.asked if each.host in hub.url} == {"hf_secret"}
    assert {each.token for each in hub.asked if each.host in hub.store_url} == {""}
    assert "hf_secret" not in done.said
    assert "signature" not in done.said


def test_weights_in_other_formats_stay_where_they_are_when_there_are_safetensors(hub: Hub, to: Path) -> None:
    hub.files |= {"original/consolidated.00.pth": bytes(200_000), "pytorch_model.bin": bytes(200_000)}
    done = run("hub", AT, "--to", to, env=env(hub))
    assert done.code == 0
    assert "2 files of weights in other formats left out, 390.62 KiB" in done.said
    assert not {"original/consolidated.00.pth", "pytorch_model.bin"} & set(held(to))


def test_other_formats_are_the_model_when_there_are_no_safetensors(hub: Hub, to: Path) -> None:
    hub.files = {"pytorch_model.bin": bytes(200_000), "config.json": b"{}"}
    assert run("hub", AT, "--to", to, env=env(hub)).code == 0
    assert held(to) == hub.files


@pytest.mark.parametrize("fault", ["cut", 429, 500, 503])
def test_what_fails_for_a_moment_is_asked_again(hub: Hub, to: Path, fault: str | int) -> None:
    hub.faults[LARGE] = [fault, fault]
    done = run("hub", AT, "--to", to, "--parallel", "1", env=env(hub))
    assert done.code == 0, done.said
    assert held(to) == hub.files
    assert done.said.count(f"{LARGE}: ") == 2


def test_a_truncated_answer_is_continued_where_it_ended(hub: Hub, to: Path) -> None:
    hub.faults[LARGE] = ["cut"]
    assert run("hub", AT, "--to", to, "--parallel", "1", env=env(hub)).code == 0
    assert hub.ranges(LARGE)[:2] == [f"bytes=0-{PIECE - 1}", f"bytes={PIECE // 2}-{PIECE - 1}"]


def test_what_goes_on_failing_is_given_up_loudly_and_resumed_later(hub: Hub, to: Path) -> None:
    hub.faults[LARGE] = [500] * 4
    done = run("hub", AT, "--to", to, "--parallel", "1", env=env(hub))
    assert done.code == 1
    assert f"{LARGE}: HTTP 500, 4 times in a row; look at the network and start again" in done.said
    assert LARGE not in held(to)
    assert run("hub", AT, "--to", to, env=env(hub)).code == 0
    assert held(to) == hub.files


def test_a_listing_that_fails_for_a_moment_is_asked_again(hub: Hub, to: Path) -> None:
    hub.faults["api"] = [502]
    assert run("hub", AT, "--to", to, env=env(hub)).code == 0


@pytest.mark.parametrize(
    ("token", "given", "fact"),
    [
        ("right", {}, "it wants a token (401); check modelSourceConfig.huggingFaceModel.tokenSecretRef"),
        (
            "right",
            {"HF_TOKEN": "wrong"},
            "the token is not valid (401); check modelSourceConfig.huggingFaceModel.token",
        ),
    ],
)
def test_a_missing_or_wrong_token_is_said(hub: Hub, to: Path, token: str, given: dict[str, str], fact: str) -> None:
    hub.token = token
    done = run("hub", AT, "--to", to, env=env(hub, **given))
    assert done.code == 1
    assert f"{hub.url}/api/models/{MODEL}/revision/{COMMIT}: {fact}" in done.said


def test_a_gated_model_says_whose_terms_are_to_be_accepted(hub: Hub, to: Path) -> None:
    hub.token, hub.accepted = "right", False
    done = run("hub", AT, "--to", to, env=env(hub, HF_TOKEN="right"))
    assert done.code == 1
    assert "the token may not read it (403); accept the model's terms with its account" in done.said


def test_a_file_that_is_refused_ends_it_at_once(hub: Hub, to: Path) -> None:
    hub.faults[LARGE] = [403]
    done = run("hub", AT, "--to", to, env=env(hub))
    assert done.code == 1
    assert f"{hub.url}/{MODEL}/resolve/{COMMIT}/{LARGE}: the token may not read it (403)" in done.said
    assert "Traceback" not in done.said


@pytest.mark.parametrize("what", ["other/model@main", f"{MODEL}@{'f' * 40}"])
def test_a_model_or_commit_that_is_not_there_is_said(hub: Hub, to: Path, what: str) -> None:
    done = run("hub", what, "--to", to, env=env(hub))
    assert done.code == 1
    assert (
        "no such model, commit or file (404); check modelId and commitSHA, and the token when it is private"
        in done.said
    )


def test_a_download_that_was_killed_asks_only_for_what_is_missing(hub: Hub, to: Path) -> None:
    gate = Gate(after=1000)
    hub.faults[LARGE] = ["", "", gate]
    process = start("hub", AT, "--to", to, "--parallel", "1", env=env(hub))
    assert gate.reached.wait(60)
    process.kill()
    process.communicate()
    gate.open.set()
    hub.asked.clear()
    done = run("hub", AT, "--to", to, "--parallel", "1", env=env(hub))
    assert done.code == 0, done.said
    assert hub.ranges(LARGE)[0] == f"bytes={2 * PIECE}-{3 * PIECE - 1}"
    assert held(to) == hub.files


def test_pieces_of_another_commit_are_not_mixed_in(hub: Hub, to: Path) -> None:
    gate = Gate(after=10)
    hub.faults[LARGE] = ["", gate]
    process = start("hub", AT, "--to", to, "--parallel", "1", env=env(hub))
    assert gate.reached.wait(60)
    process.kill()
    process.communicate()
    gate.open.set()
    hub.files[LARGE] = bytes(reversed(hub.files[LARGE]))
    newer = "f" * 40
    hub.commits[newer] = newer
    assert run("hub", f"{MODEL}@{newer}", "--to", to, env=env(hub)).code == 0
    assert held(to) == hub.files


def test_two_workers_that_share_a_folder_take_turns(hub: Hub, to: Path) -> None:
    gate = Gate(after=10)
    hub.faults[LARGE] = [gate]
    first = start("hub", AT, "--to", to, "--parallel", "1", env=env(hub))
    assert gate.reached.wait(60)
    second = start("hub", AT, "--to", to, env=env(hub))
    assert second.stderr is not None
    assert "another worker is filling it; waiting" in second.stderr.readline()
    gate.open.set()
    said = [process.communicate(timeout=60)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), said
    assert "are here already" in said[1]
    assert held(to) == hub.files


def test_a_size_that_differs_from_the_listing_is_refused(hub: Hub, to: Path) -> None:
    hub.faults[LARGE] = [lambda headers: headers.update({"Content-Range": f"bytes 0-{PIECE - 1}/299999"})]
    done = run("hub", AT, "--to", to, "--parallel", "1", env=env(hub))
    assert done.code == 1
    assert f"{LARGE} has 299999 bytes there and was listed with 300000" in done.said


def test_a_hub_that_sends_no_parts_is_refused(hub: Hub, to: Path) -> None:
    hub.faults[LARGE] = [lambda headers: headers.pop("Content-Range")] * 8  # type: ignore[list-item]
    done = run("hub", AT, "--to", to, "--parallel", "1", env=env(hub))
    assert done.code == 1
    assert "it cannot send parts of a file; use an endpoint that can" in done.said


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "a/../../outside"])
def test_a_listing_cannot_write_outside_the_model(hub: Hub, to: Path, path: str) -> None:
    hub.files[path] = b"x"
    done = run("hub", AT, "--to", to, env=env(hub))
    assert done.code == 1
    assert f"a file is named {path!r}, which is outside the model; remove it there" in done.said
    assert held(to) == {}


def test_an_address_that_answers_something_else_is_said(hub: Hub, to: Path) -> None:
    done = run("hub", AT, "--to", to, env={"HF_ENDPOINT": "file:///etc"})
    assert done.code == 1
    assert "neither http nor https; write the endpoint's address in full" in done.said


def test_a_hub_that_is_not_there_is_said(to: Path) -> None:
    done = run("hub", AT, "--to", to, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert done.code == 1
    assert "4 times in a row; look at the network and start again" in done.said
    assert "Traceback" not in done.said


def test_a_page_that_is_no_listing_is_said(hub: Hub, to: Path) -> None:
    hub.page = b"<html>sign in</html>"
    done = run("hub", AT, "--to", to, env=env(hub))
    assert done.code == 1
    assert "the answer is no JSON; check the address" in done.said


@pytest.mark.parametrize("page", [b"{}", b"[]", b'{"sha": "x", "siblings": [{"rfilename": "a"}]}'])
def test_a_listing_without_sizes_is_said(hub: Hub, to: Path, page: bytes) -> None:
    hub.page = page
    done = run("hub", AT, "--to", to, env=env(hub))
    assert done.code == 1
    assert f"{AT}: the hub lists no files with their sizes; use another endpoint" in done.said
