from dpd_router.tidy import Tidy, trimmer


def test_memory_is_given_back_when_most_connections_have_gone_and_not_for_a_few():
    trims = []
    tidy = Tidy(lambda: trims.append(1))
    seen = [tidy.look(count) for count in (5, 99, 0, 400, 300, 101, 100, 90, 0, 0)]
    assert seen == [False] * 6 + [True, False, True, False]
    assert len(trims) == 2


def test_the_c_library_is_asked_where_it_can():
    trimmer()()
