import copy
import json
import random
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft6Validator

from dpd import render
from dpd.checks import check_file
from dpd.contract import Contract
from dpd.document import walk
from dpd.endpoint import endpoint_of
from dpd.package import contract_schema
from dpd.problems import FieldPath
from dpd.reader import read
from dpd.yamlout import Entry, emitted, write
from support.paths import CASES, CHART

CONTRACT = Contract(contract_schema())
VALUES = Draft6Validator(json.loads((CHART / "values.schema.json").read_text(encoding="utf-8")))
CASE_FILES = sorted(CASES.glob("*/*/endpoint.yaml"))
ACCEPTED = [yaml.safe_load(each.read_text(encoding="utf-8")) for each in sorted(CASES.glob("accept/*/endpoint.yaml"))]
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["-1", "8", "$(X)", "@"]),
)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)


def outcome(data: bytes) -> str:
    """Check and, when nothing is wrong, render; say which of the two promises held."""
    checked = check_file(data, CONTRACT)
    for problem in checked.problems:
        assert problem.text.isprintable()
        assert problem.line
    if not checked.is_good:
        return "refused"
    for endpoint in checked.endpoints:
        text = write(render.header(endpoint, "values.yaml"), render.values(endpoint, CONTRACT.spec_keys))
        assert yaml.safe_load(text)["nameOverride"] == endpoint.name
    return "rendered"


@SETTINGS
@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    assert outcome(data) == "refused"


@SETTINGS
@given(st.text(alphabet="abk: -[]{}&*!|>'\"#%@,?~<\n\t\\x01é", max_size=80))
def test_no_text_that_looks_like_yaml_raises(text: str) -> None:
    assert outcome(text.encode("utf-8", "surrogatepass")) == "refused"


@SETTINGS
@given(st.sampled_from(CASE_FILES), st.integers(0, 2**32), st.binary(min_size=1, max_size=6))
def test_no_file_with_bytes_changed_raises(path: Any, seed: int, patch: bytes) -> None:
    data = bytearray(path.read_bytes())
    at = random.Random(seed).randrange(len(data))
    data[at : at + len(patch)] = patch
    assert outcome(bytes(data)) in ("refused", "rendered")


@SETTINGS
@given(st.sampled_from(ACCEPTED), st.integers(0, 2**32), trees)
def test_no_manifest_with_a_part_replaced_raises(document: Any, seed: int, tree: Any) -> None:
    changed = copy.deepcopy(document)
    paths = [path for path, _ in walk(changed) if path]
    _put(changed, random.Random(seed).choice(paths), tree)
    data = yaml.safe_dump(changed, allow_unicode=True).encode("utf-8", "surrogatepass")
    assert outcome(data) in ("refused", "rendered")


@SETTINGS
@given(st.sampled_from(ACCEPTED), st.integers(0, 2**32))
def test_no_manifest_with_a_part_missing_raises(document: Any, seed: int) -> None:
    changed = copy.deepcopy(document)
    chosen = random.Random(seed).choice([path for path, _ in walk(changed) if path])
    *outer, last = chosen
    holder: Any = changed
    for step in outer:
        holder = holder[step]
    del holder[last]
    assert outcome(yaml.safe_dump(changed).encode()) in ("refused", "rendered")


strings = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
roles = st.fixed_dictionaries(
    {"resources": st.just({"limits": {"nvidia.com/gpu": 8}})},
    optional={
        "replicas": st.integers(1, 9),
        "args": st.lists(strings.map(lambda each: "-" + each), max_size=3),
        "nodeSelector": st.dictionaries(st.sampled_from(["pool", "on", "1"]), strings, max_size=2),
    },
)
pd_specs = st.fixed_dictionaries(
    {"prefillSpec": roles, "decodingSpec": roles},
    optional={
        "routingThreshold": st.integers(0, 10**6),
        "topologySpec": st.fixed_dictionaries({"sameAZ": st.booleans()}),
    },
)


@SETTINGS
@given(pd_specs, st.lists(strings, max_size=4))
def test_values_keep_pd_spec_word_for_word(pd_spec: Any, values: list[str]) -> None:
    document = copy.deepcopy(next(each for each in ACCEPTED if each["metadata"]["name"] == "dpd-test"))
    document["spec"]["pdSpec"] = pd_spec
    document["spec"]["worker"]["environmentVariables"] = [
        {"name": f"V{index}", "value": each} for index, each in enumerate(values)
    ]
    (read_back,) = read(yaml.safe_dump(document, default_style='"').encode()).documents
    endpoint = endpoint_of(read_back)
    text = write((), render.values(endpoint, CONTRACT.spec_keys))
    rendered = yaml.safe_load(text)
    assert rendered["pdSpec"] == pd_spec
    assert {key: rendered[key] for key in document["spec"]} == document["spec"]
    assert read(text.encode()).documents[0].value == rendered


@SETTINGS
@given(st.dictionaries(st.text(max_size=8), trees, max_size=4))
def test_plain_values_are_written_as_pyyaml_writes_them(tree: Any) -> None:
    assert write((), [Entry(key, value) for key, value in tree.items()]) == (emitted(tree) if tree else "")


@SETTINGS
@given(
    st.dictionaries(strings, st.recursive(strings, lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=4)
)
def test_what_is_written_is_read_the_same_by_both_readers(tree: Any) -> None:
    text = write(["Head."], [Entry("outer", (Entry("inner", tree, "Comment."),))])
    assert yaml.safe_load(text) == {"outer": {"inner": tree}}
    assert read(text.encode()).documents[0].value == {"outer": {"inner": tree}}


@SETTINGS
@given(st.sampled_from(ACCEPTED), st.integers(0, 2**32), trees)
def test_what_is_accepted_satisfies_the_charts_schema(document: Any, seed: int, tree: Any) -> None:
    changed = copy.deepcopy(document)
    _put(changed, random.Random(seed).choice([path for path, _ in walk(changed) if path]), tree)
    checked = check_file(yaml.safe_dump(changed).encode(), CONTRACT)
    if checked.is_good:
        for endpoint in checked.endpoints:
            values = yaml.safe_load(write((), render.values(endpoint, CONTRACT.spec_keys)))
            assert [each.message for each in VALUES.iter_errors(values)] == []


def _put(document: Any, path: FieldPath, tree: Any) -> None:
    *outer, last = path
    for step in outer:
        document = document[step]
    document[last] = tree
