import re

from dpd_router.ids import Ids


def test_no_two_ids_are_alike_nor_those_of_two_routers_and_each_has_32_hexadecimal_digits():
    one, other = Ids(), Ids()
    made = [give() for _ in range(1000) for give in (one, other)]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in made)


def test_ids_that_are_fetched_together_have_no_part_in_common():
    give = Ids()
    made = [give() for _ in range(256)]
    for part in (slice(0, 16), slice(16, 32)):
        assert len({each[part] for each in made}) == len(made)
