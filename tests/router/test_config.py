import copy

import pytest
import yaml

from dpd_router.config.load import MAX_FILE_BYTES, from_document, load
from dpd_router.errors import ConfigInvalidError
from dpd_router.kvevents import Ports
from dpd_router.pool import Role
from dpd_router.types import Gates, SessionKeys

STRATEGIES = "use one of: prefixaware, kvaware, session, roundrobin, leastload"
GOOD = yaml.safe_load(
    """
listen: {host: 0.0.0.0, port: 8080}
endpoint: {name: dpd-test, namespace: default, invocationPath: v1/chat/completions}
routing: {threshold: 4096, strategy: prefixaware}
transfer:
  connector: lmcache
  initPorts: [7300, 7301]
  allocPorts: [7400, 7401]
  notify: {host: 0.0.0.0, port: 7500}
pools:
  prefill: [{host: prefill.default.svc, port: 8081}]
  decode: [{host: decode.default.svc, port: 8081}, {host: other, initPorts: [1, 2], allocPorts: [3, 4]}]
"""
)


def changed(path: str, value):
    document = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    inside = document
    for key in parents:
        inside = inside.setdefault(key, {})
    if value is ...:
        inside.pop(last)
    else:
        inside[last] = value
    return document


def problems(document) -> list[str]:
    with pytest.raises(ConfigInvalidError) as caught:
        from_document(document)
    return str(caught.value).splitlines()


def test_a_good_configuration_is_read():
    config = from_document(GOOD)
    assert (config.host, config.port, config.endpoint) == ("0.0.0.0", 8080, "dpd-test")
    assert (config.routing.strategy, config.routing.decode_strategy) == ("prefixaware", "leastload")
    assert (config.policy.threshold, config.policy.invocation) == (4096, "/v1/chat/completions")
    assert [(each.role, each.host, each.port, each.init_ports) for each in config.targets] == [
        (Role.PREFILL, "prefill.default.svc", 8081, ()),
        (Role.DECODE, "decode.default.svc", 8081, (7300, 7301)),
        (Role.DECODE, "other", 8081, (1, 2)),
    ]


def test_a_colocated_configuration_needs_no_transfer():
    config = from_document({"endpoint": {"name": "e"}, "pools": {"worker": [{"host": "w"}]}})
    assert config.transfer is None
    assert config.targets[0].port == 8081


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("listen.port", 70000, "listen.port: 70000 is no whole number from 0 to 65535; write such a number"),
        (
            "endpoint.invocationPath",
            "health",
            "endpoint.invocationPath: /health is answered by the router itself; use another path",
        ),
        ("logs.accessSample", 2, "logs.accessSample: 2 is no number from 0 to 1; write the share as such a number"),
        (
            "logs.accessSample",
            True,
            "logs.accessSample: True is no number from 0 to 1; write the share as such a number",
        ),
        ("logs.level", "debug", "logs.level: 'debug' is not known here; use one of: info, warning, error"),
        ("logs.format", "xml", "logs.format: 'xml' is not known here; use one of: plain, json"),
        ("metrics.port", -1, "metrics.port: -1 is no whole number from 0 to 65535; write such a number"),
        ("limits.connections", 0, "limits.connections: 0 is no whole number from 1 to 1000000; write such a number"),
        ("listen.port", True, "listen.port: True is no whole number from 0 to 65535; write such a number"),
        ("listen.port", "8080", "listen.port: '8080' is no whole number from 0 to 65535; write such a number"),
        ("listen", [], "listen: must be a mapping, is a list; write it as key: value lines"),
        ("endpoint", ..., "endpoint: required; add this section"),
        ("endpoint.name", ..., "endpoint.name: required; add a string"),
        ("endpoint.name", 5, "endpoint.name: must be a string that is not empty, is a whole number; write a string"),
        ("routing.threshold", -1, "routing.threshold: -1 is no whole number from 0 to 2147483647; write such a number"),
        ("routing.threshhold", 1, "routing.threshhold: is not a key of this section; did you mean 'threshold'?"),
        ("endpoint.name", 0.5, "endpoint.name: must be a string that is not empty, is a number; write a string"),
        ("endpoint.name", "", "endpoint.name: must be a string that is not empty, is an empty string; write a string"),
        (
            "pools.zork",
            [],
            "pools.zork: is not a key of this section; known keys: decode, prefill, worker",
        ),
        ("routing.strategy", "fastest", f"routing.strategy: 'fastest' is not known here; {STRATEGIES}"),
        ("routing.decodeStrategy", "odd", f"routing.decodeStrategy: 'odd' is not known here; {STRATEGIES}"),
        (
            "routing.gates",
            {"queueRatio": 0.5},
            "routing.gates.queueRatio: 0.5 is no number from 1 to 1000; write such a number",
        ),
        (
            "routing.gates",
            {"idleDecoder": "yes"},
            "routing.gates.idleDecoder: 'yes' is neither true nor false; write true or false",
        ),
        (
            "routing.session",
            {"header": "x y"},
            "routing.session.header: 'x y' is no name of a header or cookie; use letters, digits and dashes",
        ),
        (
            "routing.tokenizer",
            {"mode": "guess"},
            "routing.tokenizer.mode: 'guess' is not known here; use one of: estimate, file, engine",
        ),
        (
            "routing.kvEvents",
            {"workers": {"10.0.0.1:8081": {"port": 0}}},
            "routing.kvEvents.workers.10.0.0.1:8081.port: 0 is no whole number from 1 to 65535; write such a number",
        ),
        (
            "transfer.connector",
            "mooncake",
            "transfer.connector: 'mooncake' is not known here; use one of: lmcache, nixl",
        ),
        ("transfer.initPorts", ..., "transfer.initPorts: required; add one port per tensor-parallel rank"),
        (
            "transfer.initPorts",
            [],
            "transfer.initPorts: [] is no list of ports; write one number from 1 to 65535 per rank",
        ),
        (
            "transfer.initPorts",
            [0, 1],
            "transfer.initPorts: [0, 1] is no list of ports; write one number from 1 to 65535 per rank",
        ),
        (
            "transfer.allocPorts",
            [1],
            "transfer.allocPorts: 1 ports, and initPorts has 2; give both lists one port per tensor-parallel rank",
        ),
        ("transfer.notify", ..., "transfer.notify: required; add this section"),
        (
            "transfer.readySeconds",
            "soon",
            "transfer.readySeconds: 'soon' is no time from 0 to 600 seconds; write seconds as a number",
        ),
        (
            "transfer.pagesPerDecoder",
            0,
            "transfer.pagesPerDecoder: 0 is no whole number from 1 to 2147483648; write such a number",
        ),
        ("transfer", ..., "transfer: required when pools.prefill is set; add it, or remove pools.prefill"),
        ("pools", ..., "pools: required; add this section"),
        ("pools.decode", ..., "pools.decode: required beside prefill; add the decoders: they answer every request"),
        (
            "pools.worker",
            [{"host": "w"}],
            "pools.worker: stands beside prefill or decode; keep either worker, or prefill and decode",
        ),
        ("pools.decode", "x", "pools.decode: must be a list, is a string; write one `- host: …` entry per host"),
        ("pools.decode", [{"port": 1}], "pools.decode[0].host: required; add a string"),
        ("pools.decode", [7], "pools.decode[0]: must be a mapping, is a whole number; write it as key: value lines"),
        (
            "pools.decode",
            [{"host": "h", "initPorts": [1]}],
            "pools.decode[0].allocPorts: 0 ports, and initPorts has 1; "
            "give both lists one port per tensor-parallel rank",
        ),
        ("limits.bodyBytes", 1, "limits.bodyBytes: 1 is no whole number from 1024 to 2147483648; write such a number"),
        ("spec", {}, "spec: is not a key of this section; "),
    ],
)
def test_a_problem_has_its_path_its_fact_and_its_remedy(path, value, problem):
    assert any(line.startswith(problem) for line in problems(changed(path, value))), problems(changed(path, value))


@pytest.mark.parametrize("document", [None, [], "text", 5])
def test_a_file_that_is_no_mapping_is_told_so(document):
    assert problems(document)[0].startswith("(the file): must be a mapping, is ")


def test_an_empty_pool_section_is_told_what_to_hold():
    found = problems({"endpoint": {"name": "e"}, "pools": {}})
    assert found == ["pools: holds no worker; add decode (and prefill), or worker when colocated"]


def test_all_problems_are_told_at_once():
    document = changed("listen.port", -1)
    document["routing"] = {"threshold": "x", "strategy": "none", "extra": 1}
    document["endpoint"].pop("name")
    assert len(problems(document)) == 5


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"a: [", "is not YAML"),
        (b"a: \x00", "is not YAML"),
        (b"\xff\xfe\xff", "is not YAML"),
        (b"a: !!python/object/apply:os.system ['true']", "is not YAML"),
        (b"x" * (MAX_FILE_BYTES + 1), f"exceeds {MAX_FILE_BYTES} bytes"),
        (None, "cannot be read: No such file or directory; give a readable file"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_problem(tmp_path, content, fact):
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigInvalidError) as caught:
        load(path)
    assert len(caught.value.problems) == 1
    assert fact in str(caught.value)
    assert str(caught.value).count("\n") == 0


def having(**routing):
    return {**GOOD, "routing": routing}


def test_kvaware_asks_an_engine_for_token_ids_unless_a_file_is_named():
    assert from_document(having(strategy="kvaware")).routing.tokenizer.mode == "engine"
    assert from_document(having(decodeStrategy="kvaware", tokenizer={"mode": "file"})).routing.tokenizer.mode == "file"
    assert from_document(having()).routing.tokenizer.mode == "estimate"
    problem = "routing.tokenizer.mode: estimate yields no token ids, and kvaware needs them; use engine or file"
    assert problems(having(strategy="kvaware", tokenizer={"mode": "estimate"})) == [problem]


def test_no_session_is_looked_for_where_nobody_is_chosen_by_it():
    assert from_document(having(session={"header": "X-User"})).policy.session is None


def test_what_is_said_of_routing_is_taken():
    config = from_document(
        having(
            decodeStrategy="session",
            gates={"idleDecoder": True, "queueRatio": 4},
            session={"header": "X-User", "user": False, "cookie": "sid"},
            explain=True,
            kvEvents={"port": 1, "replayPort": 2, "maxBlocks": 3, "workers": {"h:1": {"port": 4, "replayPort": 5}}},
        )
    )
    assert config.policy.gates == Gates(idle_decoder=True, queue_ratio=4.0)
    assert config.policy.session == SessionKeys("X-User", False, "sid")
    assert config.policy.explain
    told = config.routing.kv_events
    assert (told.ports, told.own, told.most_blocks) == (Ports(1, 2), {"h:1": Ports(4, 5)}, 3)
