from collections.abc import Callable
from typing import Any

import pytest

from dpd.problems import Problem
from dpd.reader import MAX_BYTES, MAX_VALUES, read


def first_problem(data: str | bytes) -> Problem:
    reading = read(data.encode() if isinstance(data, str) else data)
    assert reading.problems
    return reading.problems[0]


def value_of(text: str) -> Any:
    reading = read(text.encode())
    assert reading.problems == ()
    return reading.documents[0].value


def test_five_megabytes_are_refused_before_they_are_parsed() -> None:
    data = b"spec:\n" + b"  - an item of some length\n" * 200_000
    assert len(data) > 5_000_000
    problem = first_problem(data)
    assert (problem.line, problem.text) == (
        1,
        "the file is larger than 1024 KiB; split it; one endpoint takes a few KiB",
    )


def test_a_file_of_exactly_the_limit_is_read() -> None:
    text = "a: b\n"
    data = (text + "#" * (MAX_BYTES - len(text))).encode()
    assert read(data).documents[0].value == {"a": "b"}
    assert "larger than" in first_problem(data + b"#").text


def test_text_that_is_not_utf_8_names_its_line_and_byte() -> None:
    problem = first_problem(b"a: b\nc: \xff\n")
    assert (problem.line, problem.text) == (2, "the file is not UTF-8 text (byte 9); save it as UTF-8")


def test_a_byte_order_mark_does_no_harm() -> None:
    assert read(b"\xef\xbb\xbfa: b\n").documents[0].value == {"a": "b"}


def test_a_control_character_is_refused_on_its_line() -> None:
    problem = first_problem("a: b\nc: \x01\n")
    assert problem.line == 2
    assert problem.text.startswith("not YAML: ")


@pytest.mark.parametrize(
    "text", ["a: [1, 2", "a: 'b", "a: b: c", "\t- a", "a: &x", "%YAML 9.9\n---\na: b", "a: @b", "}"]
)
def test_broken_yaml_is_a_problem_with_a_line(text: str) -> None:
    reading = read(text.encode())
    assert all(each.line for each in reading.problems)
    assert reading.problems or reading.documents


def test_every_key_and_item_has_its_line() -> None:
    (document,) = read(b"# c\na: 1\nb:\n  - x\n  - p: 2\n    q: 3\n").documents
    lines = {".".join(map(str, path)): line for path, line in document.lines.items()}
    assert lines == {"a": 2, "b": 3, "b.0": 4, "b.1": 5, "b.1.p": 5, "b.1.q": 6}


def test_a_path_the_file_does_not_contain_has_the_line_around_it() -> None:
    (document,) = read(b"a: 1\nb:\n  c: 2\n").documents
    assert document.line_of(("b", "missing", 3)) == 2
    assert document.line_of(("nowhere",)) == 1


def test_lines_count_from_the_start_of_the_file_in_every_document() -> None:
    _, second = read(b"a: 1\n---\n\nb: 2\n").documents
    assert (second.line, second.lines[("b",)]) == (4, 4)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("no", False),
        ("Off", False),
        ("y", True),
        ("true", True),
        ("~", None),
        ("", None),
        ("8", 8),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("0b11", 3),
        ("1_000", 1000),
        ("-7", -7),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("22:30", "22:30"),
        ("2024-01-01", "2024-01-01"),
        ("512 GB", "512 GB"),
        ("0x", "0x"),
        ("08", 8.0),
        ("nope", "nope"),
        ("'no'", "no"),
        ('"1.10"', "1.10"),
        ("!!str 8", "8"),
        ("!!int '8'", 8),
    ],
)
def test_a_word_means_what_it_means_to_kubernetes(word: str, value: object) -> None:
    found = value_of(f"a: {word}\n")["a"]
    assert (found, type(found)) == (value, type(value))


def test_a_huge_number_of_digits_is_no_hang_and_no_crash() -> None:
    assert isinstance(value_of(f"a: {'9' * 300}\n")["a"], float)
    assert "JSON cannot carry" in first_problem(f"a: {'9' * 10_000}\n").text


@pytest.mark.parametrize("word", [".inf", "-.INF", ".nan", "1e999"])
def test_a_number_json_cannot_carry_is_refused(word: str) -> None:
    assert first_problem(f"a: {word}\n").text == (
        f"a: {word} is a number JSON cannot carry; write a finite number, or put it in quotes"
    )


@pytest.mark.parametrize("word", ["yes", "no", "on", "null", "~", "true"])
def test_a_key_that_is_no_string_is_refused(word: str) -> None:
    assert first_problem(f"{word}: b\n").text.endswith("put the key in quotes")


def test_a_number_as_key_is_its_text() -> None:
    assert value_of("1: a\n1.0: b\n") == {"1": "a", "1.0": "b"}


def test_a_mapping_as_key_is_refused() -> None:
    assert "a key of this mapping is not a word" in first_problem("? {a: b}\n: c\n").text


def test_a_key_written_twice_names_both_lines() -> None:
    problem = first_problem("a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert (problem.line, problem.text) == (4, "a.b: written twice, on lines 2 and 4; keep one of them")


def test_aliases_and_merge_keys_are_followed() -> None:
    text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\nuse:\n  <<: [*base, *more]\n  a: 9\nsame: *base\n"
    value = value_of(text)
    assert value["use"] == {"a": 9, "b": 2, "c": 4}
    assert value["same"] == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("a: *b\n", "alias *b has no anchor before it"),
        ("a: &a [*a]\n", "alias *a lies inside its own anchor"),
        ("a: !!binary aGk=\n", "tag tag:yaml.org,2002:binary is not known to Kubernetes"),
        ("a: !custom {b: c}\n", "tag !custom is not known to Kubernetes"),
        ("a:\n  <<: 8\n", "merges something that is not a mapping"),
    ],
)
def test_what_cannot_be_json_is_refused(text: str, fact: str) -> None:
    assert fact in first_problem(text).text


def test_an_anchor_does_not_reach_into_the_next_document() -> None:
    assert "has no anchor" in first_problem("a: &x 1\n---\nb: *x\n").text


def test_nesting_is_bounded() -> None:
    assert "nested deeper than 64 levels" in first_problem("[" * 100_000).text
    assert "nested deeper than 64 levels" in first_problem("- " * 10_000 + "a").text


def test_aliases_expand_only_up_to_a_bound() -> None:
    levels = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    assert f"more than {MAX_VALUES} values" in first_problem("\n".join(levels)).text


def test_documents_before_a_broken_one_are_still_read(problems: Callable[[str], list[Problem]], manifest: Any) -> None:
    found = problems(manifest({"spec.worker.image": None}) + "---\na: [\n")
    assert found[0].text == "spec.worker.image: required; add it"
    assert "not YAML" in found[-1].text


def test_empty_documents_are_left_out() -> None:
    reading = read(b"---\n---\na: b\n---\n# nothing\n")
    assert [each.value for each in reading.documents] == [{"a": "b"}]


@pytest.mark.parametrize("data", [b"", b"\n", b"# only a comment\n", b"---\n", b"---\n...\n---\n"])
def test_a_file_without_documents_says_so(data: bytes) -> None:
    assert "the file holds no document" in first_problem(data).text
