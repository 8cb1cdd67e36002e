"""What the engine counts: a small registry in the Prometheus text format, and the names of vLLM and LMCache in it.

The usual client library is not used because it turns to files as soon as PROMETHEUS_MULTIPROC_DIR is set, which the
real worker's environment does.
"""
