from dpd_router.drift import Drift


def looks(*figures, window=60.0, every=5.0):
    """What a decoder's looks make of (observed, held) pairs, one every few seconds."""
    drift = Drift(window)
    return [drift.look(number * every, observed, held) for number, (observed, held) in enumerate(figures)]


def test_pages_that_are_ours_are_no_drift():
    assert set(looks(*[(10, 10)] * 30)) == {0}


def test_fewer_pages_than_were_reserved_are_no_drift():
    assert set(looks(*[(3, 40)] * 30)) == {0}


def test_pages_nobody_accounts_for_are_lost_after_a_window_and_not_before():
    found = looks(*[(7, 2)] * 14)
    assert found == [0] * 12 + [5, 5]


def test_the_engines_figure_is_late_so_what_was_ours_a_moment_ago_explains_it():
    assert set(looks((0, 8), (8, 0), (8, 0), (8, 0), *[(0, 0)] * 20)) == {0}


def test_one_look_without_them_proves_that_they_come_and_go():
    assert set(looks(*[(5, 0)] * 11, (0, 0), *[(5, 0)] * 11)) == {0}


def test_lost_pages_are_found_again_as_soon_as_fewer_are_taken():
    assert looks(*[(9, 0)] * 13, (4, 0), (0, 0))[-3:] == [9, 4, 0]


def test_transfers_that_hide_lost_pages_do_not_bring_them_back():
    assert looks(*[(9, 0)] * 13, (12, 20), (12, 20))[-2:] == [9, 9]
