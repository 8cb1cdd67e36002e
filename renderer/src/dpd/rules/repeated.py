"""Names that a list may hold once only, for the rules about lists."""

from collections.abc import Iterator, Sequence

from dpd.endpoint import Tree


def names(entries: Sequence[Tree]) -> Iterator[tuple[int, str, int]]:
    """Give every entry whose name another had before it: its index, the name, and the first one's index."""
    first: dict[str, int] = {}
    for index, each in enumerate(entries):
        name = each.get("name", "")
        if name and first.setdefault(name, index) != index:
            yield index, name, first[name]
