from pathlib import Path

import pytest
import yaml

from dpd_local.plan import Plan, Process
from engines.harness import endpoint, prompts
from engines.harness.evidence import retrieved


def variables(document: endpoint.Document) -> dict[str, str]:
    return {each["name"]: each["value"] for each in document["spec"]["worker"]["environmentVariables"]}


def test_a_variable_is_changed_in_a_copy() -> None:
    before = endpoint.document()
    after = endpoint.with_variable(before, "PD_BUFFER_SIZE", "1")
    assert variables(after)["PD_BUFFER_SIZE"] == "1"
    assert before == endpoint.document()
    assert variables(after) | {"PD_BUFFER_SIZE": variables(before)["PD_BUFFER_SIZE"]} == variables(before)


def test_a_variable_that_the_endpoint_lacks_is_an_error() -> None:
    with pytest.raises(StopIteration):
        endpoint.with_variable(endpoint.document(), "NO_SUCH_NAME", "1")


def test_the_colocated_endpoint_is_the_same_without_roles_and_router() -> None:
    whole, changed = endpoint.document(), endpoint.colocated(endpoint.document())
    assert changed["spec"].keys() == whole["spec"].keys() - {"pdSpec", "intelligentRoutingSpec"}
    assert changed["spec"]["worker"] == whole["spec"]["worker"]


def test_router_settings_are_added_to_what_was_rendered() -> None:
    path = Path("/x/config.yaml")
    config = {"routing": {"threshold": 1}, "transfer": {"initPorts": [1]}}
    router = Process("r", "router", ("r",), {}, (), {path: yaml.safe_dump(config)}, 1)
    changed = endpoint.with_router(Plan((router,)), "transfer", {"pagesPerDecoder": 3}).front
    loaded = yaml.safe_load(changed.files[path])
    assert loaded == {**config, "transfer": {"initPorts": [1], "pagesPerDecoder": 3}}


def test_prompts_are_of_the_asked_size_and_never_the_same() -> None:
    make = prompts.tokens([5, 7, 11, 13])
    assert [len(make(each)) for each in (1, 7, 4000)] == [1, 7, 4000]
    assert make(50) != make(50)
    assert prompts.text(3) != prompts.text(3)


def test_sizes_grow_from_one_to_the_longest() -> None:
    sizes = list(prompts.sizes(32, 4000))
    assert (sizes[0], sizes[-1], len(set(sizes))) == (1, 4000, 32)
    assert sizes == sorted(sizes)


def test_retrievals_are_read_from_a_log_line_by_line() -> None:
    log = "x Retrieved 251 out of 256 required tokens (from 300 total tokens)\nRetrieved 1 out of 1 required tokens"
    assert retrieved(log) == [(251, 256), (1, 1)]
