"""Decisions without I/O: what an endpoint shall be, what is missing, what its status says, who leads."""
