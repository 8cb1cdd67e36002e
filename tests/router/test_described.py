from router.described import bombard, endpoint, lines, pretty, quiet

CASES = 60


def test_what_the_description_says_is_what_the_router_does(tmp_path):
    with endpoint(tmp_path, threshold=0) as made:
        bombard(made, CASES, start=1)
        assert sum(made.answers.values()) >= CASES // 3, pretty(made.answers)
        assert made.answers[200] > 0
        assert made.answers[400] > 0
        assert not any(quiet(made).values())
        assert lines(made, "disaggregate=True")
        assert not lines(made, "[ERROR]")
