"""What a cluster takes of its machine: a second checkout is told whose it is, and its control groups go with it."""

from pathlib import Path

import pytest

from cluster import groups
from cluster.claim import Claim, ClaimedError


def folders(tmp_path: Path) -> tuple[Path, Path]:
    first, second = tmp_path / "first", tmp_path / "second"
    for each in (first, second):
        each.mkdir()
    return first, second


def test_a_second_checkout_is_told_whose_cluster_runs(tmp_path: Path) -> None:
    first, second = folders(tmp_path)
    claim = Claim(tmp_path / "holder")
    claim.take(first)
    with pytest.raises(ClaimedError) as refused:
        claim.take(second)
    assert str(refused.value) == f"the cluster of {first} runs on this machine; end it there: make cluster-down"
    assert (claim.is_for(first), claim.is_for(second)) == (True, False)


def test_what_was_given_back_or_has_no_checkout_any_more_is_free(tmp_path: Path) -> None:
    first, second = folders(tmp_path)
    claim = Claim(tmp_path / "holder")
    claim.take(first)
    claim.give_back(second)
    assert claim.holder() == first
    claim.give_back(first)
    assert claim.is_for(second)
    claim.take(second)
    second.rmdir()
    claim.take(first)
    assert claim.holder() == first


def test_groups_of_pods_are_removed_and_those_with_something_in_them_stay(tmp_path: Path) -> None:
    (tmp_path / "cpu/kubepods/burstable/pod-1").mkdir(parents=True)
    (tmp_path / "memory/kubepods/pod-2").mkdir(parents=True)
    (tmp_path / "memory/kubepods/pod-2/held").touch()
    (tmp_path / "memory/other").mkdir()
    groups.remove(tmp_path)
    assert groups.there(tmp_path) == [str(tmp_path / "memory/kubepods")]
    assert (tmp_path / "memory/other").exists()
