from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dpd import patterns
from dpd.contract import Contract
from dpd.package import contract_schema
from dpd.problems import Problem, path_text

Said = Callable[[dict[str, Any]], list[str]]


def test_a_sound_manifest_has_no_problems(said: Said) -> None:
    assert said({}) == []


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("spec.wroker", {}, "spec.wroker: unknown key; did you mean worker?"),
        ("spec.zzz", 1, "spec.zzz: unknown key; remove it"),
        (
            "spec.modelSourceConfig.s3Storage.arn",
            "x",
            "spec.modelSourceConfig.s3Storage.arn: unknown key; known here: bucketName, region",
        ),
        (
            "spec.image",
            "x",
            "spec.image: unknown key; it belongs at spec.worker.image",
        ),
        (
            "spec.pdSpec.routingThreshold",
            2.5,
            "spec.pdSpec.routingThreshold: 2.5 is a number, not a whole number; write a whole number without quotes",
        ),
        (
            "spec.metrics",
            {"enabled": "yes"},
            'spec.metrics.enabled: "yes" is a string, not true or false; write true or false',
        ),
        (
            "spec.worker.args",
            "--model x",
            'spec.worker.args: "--model x" is a string, not a list; write a list, each item behind a dash',
        ),
        (
            "spec.worker.modelVolumeMount",
            ["x"],
            "spec.worker.modelVolumeMount: is a list, not a mapping; write `key: value` lines under it",
        ),
        (
            "spec.worker.args",
            ["--port", 8000],
            'spec.worker.args[1]: 8000 is a number, not a string; put it in quotes: "8000"',
        ),
        (
            "spec.worker.args",
            ["--port", None],
            "spec.worker.args[1]: is empty, not a string; write one word or sentence",
        ),
        (
            "spec.modelName",
            "x" * 70,
            "spec.modelName: has 70 characters, 63 are allowed; drop 7 characters",
        ),
        ("metadata.name", "", "metadata.name: is empty; fill it in, or remove it"),
        (
            "spec.modelSourceConfig.modelSourceType",
            "gcs",
            'spec.modelSourceConfig.modelSourceType: "gcs" is not known here; '
            "write fsx, s3, huggingface or kubernetesVolume",
        ),
        (
            "spec.worker.modelInvocationPort.containerPort",
            70000,
            "spec.worker.modelInvocationPort.containerPort: 70000 is more than 65535; write 65535 or less",
        ),
    ],
)
def test_a_shape_that_is_wrong_is_said_in_a_sentence(path: str, value: Any, expected: str, said: Said) -> None:
    assert expected in said({path: value})


def test_a_null_is_a_key_that_is_not_there(said: Said, problems: Any, manifest: Any) -> None:
    text = manifest() + "".join(f"  {key}:\n" for key in ("kubernetes", "tags", "nodeAffinity"))
    assert problems(text) == []


def test_a_required_key_that_is_null_is_missing(problems: Any, manifest: Any) -> None:
    text = manifest().replace("image: lmcache/vllm-openai:v0.4.3", "image:")
    assert [each.text for each in problems(text)] == ["spec.worker.image: required; add it"]


def test_a_misspelt_required_key_is_said_once(said: Said) -> None:
    found = said({"spec.worker.image": None, "spec.worker.iamge": "x"})
    assert found == ["spec.worker.iamge: unknown key; did you mean image?"]


def test_an_unfit_part_draws_no_further_complaints(said: Said) -> None:
    found = said({"spec.pdSpec.prefillSpec.resources": {"limits": {"nvidia.com/gpu": "eight"}}})
    assert found == [
        'spec.pdSpec.prefillSpec.resources.limits["nvidia.com/gpu"]: "eight" is not a quantity; '
        'write a number with an optional unit, as in 8, "500m" or 64Gi'
    ]


def test_all_problems_come_at_once_in_the_order_of_the_file(
    problems: Callable[[str], list[Problem]], manifest: Any
) -> None:
    changes = {"spec.instanceType": "p5", "spec.pdSpec.routingThreshold": -1, "spec.worker.argz": []}
    found = problems(manifest(changes))
    lines = [each.line or 0 for each in found]
    assert len(found) == 3
    assert lines == sorted(lines)


def test_a_message_stays_on_one_printable_line(said: Said) -> None:
    for found in said({"spec.worker.modelInvocationPort.name": "a\nb\x1b[31m" + "c" * 500}):
        assert found.isprintable()
        assert len(found) < 200


def test_paths_with_odd_keys_are_quoted() -> None:
    assert path_text(("spec", "limits", "nvidia.com/gpu", 3, "x")) == 'spec.limits["nvidia.com/gpu"][3].x'


def test_the_keys_of_spec_are_the_contracts(contract: Contract) -> None:
    assert {"pdSpec", "worker", "modelName", "tolerations"} <= set(contract.spec_keys)


def test_every_pattern_people_write_against_has_words() -> None:
    missing = set(_patterns(contract_schema(), skip=("Status", "Condition")))
    missing = {each for each in missing if patterns.words(each) is None}
    assert missing == set()


def _patterns(schema: Any, skip: tuple[str, ...]) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for key, each in schema.items():
            if not any(word in key for word in skip):
                yield from _patterns(each, skip)
    elif isinstance(schema, list):
        for each in schema:
            yield from _patterns(each, skip)
