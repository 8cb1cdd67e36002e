import contextlib

from dpd_router.ledger import Buffers
from dpd_router.pool import Address, Pool, Role
from dpd_router.types import Policy, Prompt
from router.team import chooser


def prefill(*hosts):
    return {Address(Role.PREFILL, host, 8081) for host in hosts}


def pool(*hosts):
    made = Pool("n")
    made.sync(Role.PREFILL, prefill(*hosts))
    return made


def test_a_new_worker_takes_nothing_until_it_is_known_to_be_well():
    p = pool("a")
    assert p.ready(Role.PREFILL) == []
    p.mark_up(p.all()[0])
    assert [each.name for each in p.ready(Role.PREFILL)] == ["a:8081"]


def test_a_worker_that_stays_keeps_its_state_and_one_that_goes_takes_no_more():
    p = pool("a", "b")
    a, b = p.all()
    p.mark_up(a)
    p.mark_up(b)
    p.sync(Role.PREFILL, prefill("a", "c"))
    assert [each.name for each in p.all()] == ["a:8081", "c:8081"]
    assert a.up
    assert not b.up
    p.mark_up(b)
    assert not b.up, "a health check that was under way brings no worker back"


def test_roles_are_kept_apart():
    p = pool("a")
    p.sync(Role.DECODE, {Address(Role.DECODE, "a", 8081, (1,), (2,))})
    assert len(p.all()) == 2
    p.sync(Role.DECODE, set())
    assert [each.address.role for each in p.all()] == [Role.PREFILL]


def test_a_worker_that_failed_comes_back_under_another_tag():
    p = pool("a")
    worker = p.all()[0]
    p.mark_up(worker)
    before = p.tag(worker)
    p.mark_down(worker)
    p.mark_down(worker)
    p.mark_up(worker)
    assert (before, p.tag(worker)) == ("a:8081/n.0", "a:8081/n.1")


def test_routers_do_not_share_tags_and_a_tag_has_no_at_sign():
    address = Address(Role.PREFILL, "user@host", 1)
    tags = set()
    for nonce in ("x", "y"):
        p = Pool(nonce)
        p.sync(Role.PREFILL, {address})
        tags.add(p.tag(p.all()[0]))
    assert len(tags) == 2
    assert not any("@" in tag for tag in tags)


def test_an_ipv6_worker_is_named_with_brackets():
    assert pool("fd00::1").all()[0].name == "[fd00::1]:8081"


def test_requests_in_flight_are_counted_also_when_they_fail():
    p = pool("a")
    worker = p.all()[0]
    with contextlib.suppress(ValueError), p.flight(worker):
        assert worker.in_flight == 1
        raise ValueError
    assert (worker.in_flight, worker.last_used) == (0, 1)


def test_kv_passes_only_between_workers_of_one_revision_and_an_unknown_one_goes_with_any():
    def decoder(revision):
        return Address(Role.DECODE, "d", 1, revision=revision)

    def prefiller(revision):
        return Address(Role.PREFILL, "p", 1, revision=revision)

    table = {("a", "a"): True, ("a", "b"): False, (None, "b"): True, ("a", None): True, (None, None): True}
    assert {pair: prefiller(pair[0]).pairs_with(decoder(pair[1])) for pair in table} == table


def test_a_decoder_is_offered_the_prefillers_of_its_revision_that_are_well():
    p = Pool("n")
    p.sync(Role.PREFILL, {Address(Role.PREFILL, f"p{i}", 1, revision=r) for i, r in enumerate(("old", "new", "new"))})
    p.sync(Role.DECODE, {Address(Role.DECODE, "d", 1, (1,), (2,), "new")})
    for worker in p.all():
        if worker.name != "p2:1":
            p.mark_up(worker)
    decoder = p.ready(Role.DECODE)[0]
    chosen = chooser(p, Policy(0, "/"), "roundrobin", "leastload").prefillers(Prompt(0, ""), 3, p.read_by(decoder))
    assert [each.name for each in chosen] == ["p1:1"]


def test_the_roomiest_decoder_says_what_fits_and_who_is_not_ready_says_nothing():
    p = Pool("n", Buffers(pages=100))
    assert p.outlook().capacity is None
    p.sync(Role.DECODE, {Address(Role.DECODE, host, 1) for host in "abc"})
    a, b, _ = p.all()
    for worker, lost in ((a, 30), (b, 10)):
        worker.ledger.lost = lost
        p.mark_up(worker)
    assert p.outlook().capacity == 90
    b.ledger.lost = 0
    assert p.outlook().capacity == 100


def test_a_check_that_finds_what_is_known_looks_at_nobody_else():
    looks = list[float]()

    def clock():
        looks.append(0.0)
        return 0.0

    p = Pool("n", clock=clock)
    p.sync(Role.PREFILL, prefill("a", "b"))
    for worker in p.all():
        p.mark_up(worker)
    looks.clear()
    p.mark_up(p.all()[0])
    assert looks == []
    assert len(p.ready(Role.PREFILL)) == 2
