from decimal import Decimal
from typing import Any

import pytest
import yaml

from dpd import blocks
from dpd.flags import Flag, canonical, parse
from dpd.hints import listed, nearest
from dpd.instances import GPU_DIRECT_TYPES, facts_of, has_no_gpus, known_types, least
from dpd.reader import read
from dpd.sizing import GIB, gib, gpu_memory_left, l1_gib_per_rank, quantity, share_of_node
from dpd.yamlout import Entry, emitted, write


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        (8, "8"),
        ("8", "8"),
        ("500m", "0.5"),
        ("1Ki", "1024"),
        ("1k", "1000"),
        ("1.5Gi", str(1.5 * GIB)),
        ("2e3", "2000"),
        ("2E", "2e18"),
        ("1Ei", str(1024**6)),
        ("100n", "1e-7"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+1", "1"),
        ("-1Mi", "-1048576"),
    ],
)
def test_a_quantity_is_read_as_kubernetes_reads_it(written: str | int, amount: str) -> None:
    assert quantity(written) == Decimal(amount)


@pytest.mark.parametrize(
    "written", ["", "Gi", "1GB", "1 Gi", "one", "1e", "--1", "1.2.3", "1KI", "٣", "9" * 99, "1e99"]
)
def test_what_is_no_quantity_is_none_and_never_raises(written: str) -> None:
    assert quantity(written) is None


def test_a_quantity_beyond_counting_is_none() -> None:
    assert quantity(2**63 - 1) == quantity(str(2**63 - 1)) == 2**63 - 1
    assert [quantity(each) for each in (2**63, "8Ei", "1e19", "-1e19", "9" * 65, 10**5000)] == [None] * 6


def test_gib_is_written_short() -> None:
    assert [gib(8 * GIB), gib(1.5 * GIB), gib(8_000_000_000), gib(0)] == ["8 GiB", "1.5 GiB", "7.45 GiB", "0 GiB"]


def test_the_engine_leaves_what_it_does_not_take() -> None:
    assert gpu_memory_left(80, 0.75) == 20 * GIB
    assert gpu_memory_left(80, 0.9) == 8 * GIB


def test_l1_is_a_quarter_of_the_pods_memory_over_its_ranks() -> None:
    assert l1_gib_per_rank(share_of_node(2048, 8, 8), 8) == 64
    assert l1_gib_per_rank(share_of_node(2048, 4, 8), 4) == 64
    assert l1_gib_per_rank(Decimal(900 * GIB), 4) == 56
    assert l1_gib_per_rank(Decimal(GIB), 8) == 1


def test_the_table_has_the_five_types_that_pd_spec_supports() -> None:
    facts = {name: facts_of(name) for name in GPU_DIRECT_TYPES}
    assert {name: (each.gpus, each.gpu_memory_gib, each.efa_interfaces) for name, each in facts.items() if each} == {
        "ml.p5.48xlarge": (8, 80, 32),
        "ml.p5e.48xlarge": (8, 141, 32),
        "ml.p5en.48xlarge": (8, 141, 16),
        "ml.p6-b200.48xlarge": (8, 179, 8),
        "ml.p6-b300.48xlarge": (8, 268, 16),
    }


def test_a_type_is_known_with_and_without_its_prefix() -> None:
    assert facts_of("p5.48xlarge") is facts_of("ml.p5.48xlarge")
    assert facts_of("ml.p9.48xlarge") is None


def test_no_type_of_the_table_counts_as_one_without_gpus() -> None:
    assert not any(has_no_gpus(each) for each in known_types())
    assert all(has_no_gpus(f"ml.{each}.2xlarge") for each in ("m5", "c6i", "r7g", "t3", "trn1", "inf2"))


def test_the_least_of_several_types_holds_for_all_of_them() -> None:
    nodes = [each for each in map(facts_of, ("ml.p5.48xlarge", "ml.p5en.48xlarge")) if each]
    assert (least(nodes).gpu_memory_gib, least(nodes).efa_interfaces, least(nodes).gpu_direct) == (80, 16, True)
    mixed = [each for each in map(facts_of, ("ml.p5.48xlarge", "ml.g6.xlarge")) if each]
    assert (least(mixed).gpus, least(mixed).efa_interfaces, least(mixed).gpu_direct) == (1, None, False)


@pytest.mark.parametrize(
    ("args", "value", "index"),
    [
        (["--port", "8000"], "8000", 0),
        (["--port=8000"], "8000", 0),
        (["--port", "1", "--port", "2"], "2", 2),
        (["--port", "-1"], "-1", 0),
        (["--port", "--host", "x"], None, 0),
        (["--port"], None, 0),
        (["--host", "x"], "absent", -1),
        (["--port="], "", 0),
        (["--port=a=b"], "a=b", 0),
    ],
)
def test_a_flag_is_found_in_every_spelling(args: list[str], value: str | None, index: int) -> None:
    found = dict(parse(args, ("args",))).get("--port")
    assert found == (None if value == "absent" else Flag(value, ("args", index)))


def test_spellings_of_a_flag_are_one() -> None:
    assert {canonical(each) for each in ("-tp", "--tensor_parallel_size", "--tensor-parallel-size=8")} == {
        "--tensor-parallel-size"
    }


def test_the_nearest_word_is_found_whatever_its_case() -> None:
    assert nearest("REPLCAS", ["replicas", "resources"]) == "replicas"
    assert nearest("zzz", ["replicas"]) is None
    assert nearest("x" * 100_000, ["replicas"]) is None
    assert listed(["a", "b", "c"]) == "a, b or c"


def test_comments_stand_above_their_keys() -> None:
    entries = [Entry("a", 1), Entry("b", (Entry("c", "no", "Why c."),)), Entry("d", [1], "Why d.")]
    text = write(["Head."], entries)
    assert text == '# Head.\na: 1\n\nb:\n  # Why c.\n  c: "no"\n\n# Why d.\nd:\n  - 1\n'


def test_a_long_comment_is_wrapped_at_words() -> None:
    text = write([], [Entry("a", 1, "word " * 60)])
    assert all(len(line) <= 112 for line in text.splitlines())
    assert text.replace("\n# ", " ").startswith("# " + "word " * 59)


@pytest.mark.parametrize(
    "word",
    ["no", "y", "N", "1.10", "0x1", "0o7", "1e3", "1E5", "22:30", "2024-01-01", "~", "null", "", " a", "a: b", "- a",
     "#x", "{{ x }}", "*a", "&a", "!a", "%a", "@a", "`a", "<<", "=", ".inf", "08", "1_000", "a\tb", "a\u2028b", "\x07",
     "two\nlines", "trailing \nspace", "\n", " \n x", "x\n\n", "é", "🦊", "'", '"', "\\", "yes\n"],
)  # fmt: skip
def test_a_string_stays_the_string_it_was(word: str) -> None:
    text = write([], [Entry("a", (Entry("k", word, "Comment."),)), Entry("b", {word: [word]})])
    assert yaml.safe_load(text) == {"a": {"k": word}, "b": {word: [word]}}
    assert _values(text) == {"a": {"k": word}, "b": {word: [word]}}


def _values(text: str) -> Any:
    reading = read(text.encode())
    assert reading.problems == ()
    return reading.documents[0].value


NESTED = {"a": [[1, {"b": "no", "c": {}}], []], "d": {"e": [{"f": [{"g": None}]}], "h": 1.5}, "-": ["- x", "x: y", "#"]}


def test_what_is_simple_takes_no_emitter() -> None:
    assert blocks.text(NESTED, lambda value: emitted([value])[2:-1]) == emitted(NESTED)


@pytest.mark.parametrize("tree", [{"": 1}, {"k" * 101: 1}, {1: 1}, {"a": ["two\nlines"]}, {"a": "\x85"}])
def test_what_spans_lines_or_has_a_strange_key_is_left_to_the_emitter(tree: Any) -> None:
    assert blocks.text(tree, str) is None
    assert write((), [Entry(key, value) for key, value in tree.items()]) == emitted(tree)
