"""How much of the router's memory requests' bodies take, over all connections: each may be long, not all at once."""

from dpd_router.errors import UnavailableError

RETRY_AFTER = 1


class Held:
    """Counts bytes of bodies from their arrival to the end of their requests. `most` is None for no limit."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self.now = 0
        self.refused = 0

    def take(self, size: int) -> None:
        """Count bytes in. Raises UnavailableError, and counts none, when there would be too many."""
        if not self.fits(size):
            self.refused += 1
            text = "The router holds as many bytes of requests as it may; try again later."
            raise UnavailableError(text, code="too_many_bytes", retry_after=RETRY_AFTER)
        self.now += size

    def fits(self, size: int) -> bool:
        """Say whether there is room for so many bytes more."""
        return self.most is None or self.now + size <= self.most

    def give(self, size: int) -> None:
        """Count bytes out."""
        self.now -= size
