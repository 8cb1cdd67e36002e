"""What the router costs beside others: processor time, latency and memory. Never part of `make test`."""
