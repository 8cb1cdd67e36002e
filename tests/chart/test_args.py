"""The merge of worker.args and a role's args, against a second implementation of it."""

import json
import shutil
import subprocess
from collections.abc import Callable

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chart.args_reference import flag_name, merge
from support.paths import CHART, TOOLS

Case = tuple[list[str], list[str]]
Merge = Callable[[list[Case]], list[list[str]]]

TEMPLATE = """
{{- $results := list -}}
{{- range .Values.cases -}}
  {{- $base := include "dpd.args.segments" .base | fromJsonArray -}}
  {{- $over := include "dpd.args.segments" .over | fromJsonArray -}}
  {{- $merged := include "dpd.args.merge" (dict "base" $base "over" $over) | fromJsonArray -}}
  {{- $results = append $results (include "dpd.args.words" $merged | fromJsonArray) -}}
{{- end -}}
apiVersion: v1
kind: ConfigMap
metadata: {name: results}
data: {results: {{ toJson $results | quote }}}
"""


@pytest.fixture(scope="module")
def merged_by_templates(tmp_path_factory: pytest.TempPathFactory) -> Merge:
    """Merge many cases in one call of helm: a chart of nothing but the merge."""
    chart = tmp_path_factory.mktemp("args")
    (chart / "templates").mkdir()
    (chart / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "args", "version": "0.1.0"}))
    shutil.copy(CHART / "templates" / "_args.tpl", chart / "templates")
    (chart / "templates" / "results.yaml").write_text(TEMPLATE)

    def call(cases: list[Case]) -> list[list[str]]:
        values = json.dumps({"cases": [{"base": base, "over": over} for base, over in cases]}, ensure_ascii=False)
        command = [str(TOOLS / "helm"), "template", "x", str(chart), "--values", "-"]
        done = subprocess.run(command, input=values, capture_output=True, text=True, check=True)
        found: list[list[str]] = json.loads(yaml.safe_load(done.stdout)["data"]["results"])
        return found

    return call


SENTENCES: dict[str, tuple[Case, list[str]]] = {
    "a flag is replaced where it stands": (
        (["--a", "1", "--b", "2"], ["--a", "9"]),
        ["--a", "9", "--b", "2"],
    ),
    "a new flag follows at the end": ((["--a", "1"], ["--b"]), ["--a", "1", "--b"]),
    "a value may be joined with an equals sign": ((["--a=1", "--b"], ["--a", "2"]), ["--a", "2", "--b"]),
    "underscores and dashes are the same": ((["--max_num_seqs", "1"], ["--max-num-seqs=2"]), ["--max-num-seqs=2"]),
    "underscores of a value are kept": ((["--a", "x"], ["--a=x_y=z_w"]), ["--a=x_y=z_w"]),
    "no-x replaces x": ((["--x", "--y"], ["--no-x"]), ["--no-x", "--y"]),
    "x replaces no-x": ((["--no-x", "--y"], ["--x"]), ["--x", "--y"]),
    "a negative number is a value": ((["--seed", "-1", "--x"], ["--seed", "-2"]), ["--seed", "-2", "--x"]),
    "a negative fraction is a value": ((["--scale", "-.5", "--x"], ["--x"]), ["--scale", "-.5", "--x"]),
    "JSON is a value": (
        (["--kv-transfer-config", '{"a": 1}', "--x"], ['--kv-transfer-config={"a":{"b":"--c=d"}}']),
        ['--kv-transfer-config={"a":{"b":"--c=d"}}', "--x"],
    ),
    "JSON over several lines is a value": (
        (["--o", '{\n  "a_b": "="\n}'], ["--x"]),
        ["--o", '{\n  "a_b": "="\n}', "--x"],
    ),
    "a short flag is its long one": ((["-tp", "8"], ["--tensor-parallel-size=4"]), ["--tensor-parallel-size=4"]),
    "a long flag is its short one": ((["--pipeline_parallel_size", "2"], ["-pp", "1"]), ["-pp", "1"]),
    "an optimization level is joined to its flag": (
        (["-O3", "--x"], ["--optimization-level=1"]),
        ["--optimization-level=1", "--x"],
    ),
    "a flag of several values is replaced whole": (
        (["--served-model-name", "a", "b", "--x"], ["--served-model-name", "c", "d", "e"]),
        ["--served-model-name", "c", "d", "e", "--x"],
    ),
    "a role's repetitions replace every one of the worker's": (
        (["--lora", "a", "--x", "--lora", "b"], ["--lora", "c", "--lora", "d"]),
        ["--lora", "c", "--lora", "d", "--x"],
    ),
    "the worker's repetitions stay when the role says nothing": (
        (["--lora", "a", "--lora", "b"], ["--x"]),
        ["--lora", "a", "--lora", "b", "--x"],
    ),
    "a leading model stays in front": ((["org/model", "--x"], ["--y"]), ["org/model", "--x", "--y"]),
    "a role's leading model replaces the worker's": ((["serve", "a"], ["b", "--x"]), ["b", "--x"]),
    "a role's leading model goes to the front": ((["--x"], ["model", "--y"]), ["model", "--x", "--y"]),
    "a part of a JSON flag is a flag of its own": (
        (["--config.level", "1", "--config", "{}"], ["--config.level=2"]),
        ["--config.level=2", "--config", "{}"],
    ),
    "nothing over something": ((["--a"], []), ["--a"]),
    "something over nothing": (([], ["--a"]), ["--a"]),
    "an empty word is a value": ((["--a", "", "--b"], ["--b"]), ["--a", "", "--b"]),
}


def test_the_merge_does_what_each_sentence_says(merged_by_templates: Merge) -> None:
    results = merged_by_templates([case for case, _ in SENTENCES.values()])
    assert dict(zip(SENTENCES, results, strict=True)) == {name: wanted for name, (_, wanted) in SENTENCES.items()}


def test_the_reference_does_what_each_sentence_says() -> None:
    assert {name: merge(*case) for name, (case, _) in SENTENCES.items()} == {
        name: wanted for name, (_, wanted) in SENTENCES.items()
    }


NAMES = [
    "model",
    "max-num-seqs",
    "max_num_seqs",
    "no-async",
    "async",
    "seed",
    "x",
    "tensor-parallel-size",
    "kv.a_b",
    "note",
]
VALUES = st.one_of(
    st.sampled_from(
        [
            "1",
            "-1",
            "-0.5",
            "-.5",
            "0.75",
            "a b",
            "",
            "-",
            "--",
            "{}",
            '{"a_b": "--x=1"}',
            "[-1]",
            "no",
            "1e3",
            "=",
            "ü",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=6).filter(
        lambda word: flag_name(word) is None
    ),
)
LONG = st.sampled_from(NAMES).map(lambda name: f"--{name}")
SHORT = st.sampled_from(["-tp", "-pp", "-q", "-O3", "-O", "-zz"])
SEGMENT = st.one_of(
    st.tuples(st.one_of(LONG, SHORT), st.lists(VALUES, max_size=3)).map(lambda pair: [pair[0], *pair[1]]),
    st.tuples(st.one_of(LONG, SHORT), VALUES).map(lambda pair: [f"{pair[0]}={pair[1]}"]),
)
WORDS = st.tuples(st.lists(VALUES, max_size=1), st.lists(SEGMENT, max_size=6)).map(
    lambda parts: [*parts[0], *[word for segment in parts[1] for word in segment]]
)


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(cases=st.lists(st.tuples(WORDS, WORDS), min_size=25, max_size=60))
def test_the_templates_merge_as_the_reference_does(merged_by_templates: Merge, cases: list[Case]) -> None:
    found = merged_by_templates(cases)
    for case, result in zip(cases, found, strict=True):
        assert (case, result) == (case, merge(*case))
