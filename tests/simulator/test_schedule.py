import random

from dpd_sim.core.blocks import BlockPool, block_hashes
from dpd_sim.core.request import Sampling, Sequence
from dpd_sim.core.schedule import Plan, Scheduler


def _scheduler(blocks: int = 1000, seqs: int = 8, budget: int = 100, caching: bool = False) -> Scheduler:
    return Scheduler(BlockPool(blocks, 16, caching), seqs, budget)


def _sequence(name: str, tokens: int, salt: int = 0) -> Sequence:
    return Sequence(name, [salt * 10_000 + i for i in range(tokens)], Sampling(max_tokens=9), {}, 0.0)


def _nothing(sequence: Sequence, local: int) -> int:
    return 0


def _run(scheduler: Scheduler, plan: Plan) -> None:
    for piece in plan.prefills:
        scheduler.done(piece.sequence, piece.new)
        if piece.sequence.computed >= piece.sequence.tokens:
            piece.sequence.output.append(1)
    for sequence in plan.decodes:
        scheduler.done(sequence, 1)
        sequence.output.append(1)


def test_a_long_prompt_is_computed_in_pieces_beside_the_others_decodes() -> None:
    scheduler = _scheduler()
    scheduler.add(_sequence("short", 10))
    _run(scheduler, scheduler.plan(_nothing))
    scheduler.add(_sequence("long", 250))
    plans = []
    for _ in range(3):
        plan = scheduler.plan(_nothing)
        plans.append(([p.new for p in plan.prefills], len(plan.decodes)))
        _run(scheduler, plan)
    assert plans == [([99], 1), ([99], 1), ([52], 1)]


def test_no_more_sequences_run_than_allowed_and_the_rest_wait_in_order() -> None:
    scheduler = _scheduler(seqs=2)
    for name in "abc":
        scheduler.add(_sequence(name, 5))
    plan = scheduler.plan(_nothing)
    assert [s.request_id for s in plan.admitted] == ["a", "b"]
    assert [s.request_id for s in scheduler.waiting] == ["c"]


def test_a_sequence_waits_until_there_are_blocks_for_it() -> None:
    scheduler = _scheduler(blocks=5)
    scheduler.add(_sequence("a", 60))
    scheduler.add(_sequence("b", 30))
    plan = scheduler.plan(_nothing)
    assert [s.request_id for s in plan.admitted] == ["a"]
    _run(scheduler, plan)
    scheduler.remove(plan.admitted[0])
    assert [s.request_id for s in scheduler.plan(_nothing).admitted] == ["b"]


def test_the_youngest_gives_way_when_blocks_run_out_and_is_computed_anew() -> None:
    scheduler = _scheduler(blocks=4)
    scheduler.add(_sequence("a", 31))
    scheduler.add(_sequence("b", 31))
    for _ in range(3):
        _run(scheduler, scheduler.plan(_nothing))
    assert scheduler.preemptions == 1
    assert [s.request_id for s in scheduler.running] == ["a"]
    assert scheduler.waiting[0].computed == 0


def test_a_prompt_seen_before_is_cached_but_for_its_last_token() -> None:
    scheduler = _scheduler(budget=1000, caching=True)
    first = _sequence("a", 64)
    scheduler.add(first)
    _run(scheduler, scheduler.plan(_nothing))
    scheduler.remove(first)
    second = _sequence("b", 64)
    scheduler.add(second)
    plan = scheduler.plan(_nothing)
    assert second.cached == 48
    assert [p.new for p in plan.prefills] == [16]


def test_cached_blocks_are_given_up_when_room_is_needed() -> None:
    scheduler = _scheduler(blocks=4, budget=1000, caching=True)
    first = _sequence("a", 64)
    scheduler.add(first)
    _run(scheduler, scheduler.plan(_nothing))
    scheduler.remove(first)
    scheduler.add(_sequence("other", 60, salt=1))
    assert scheduler.plan(_nothing)
    assert scheduler.pool.cached_tokens(block_hashes(first.prompt, 16), 64) == 0


def test_what_a_connector_brings_is_not_computed() -> None:
    scheduler = _scheduler(budget=1000)
    scheduler.add(_sequence("a", 64))
    plan = scheduler.plan(lambda sequence, local: len(sequence.prompt) - 1 - local)
    assert [(p.before, p.new) for p in plan.prefills] == [(63, 1)]
    assert [(load.local, load.external) for load in plan.loads] == [(0, 63)]


def test_blocks_are_neither_lost_nor_made_in_a_long_random_run() -> None:
    draw = random.Random(7)
    scheduler = _scheduler(blocks=60, seqs=6, budget=64, caching=True)
    live: list[Sequence] = []
    for step in range(600):
        if draw.random() < 0.5:
            sequence = _sequence(f"s{step}", draw.randint(1, 200), salt=draw.randint(0, 3))
            scheduler.add(sequence)
            live.append(sequence)
        _run(scheduler, scheduler.plan(_nothing))
        for sequence in list(live):
            if len(sequence.output) >= 9 or draw.random() < 0.02:
                scheduler.remove(sequence)
                live.remove(sequence)
    for sequence in live:
        scheduler.remove(sequence)
    assert scheduler.pool.free == 60
    assert scheduler.pool.usage == 0
