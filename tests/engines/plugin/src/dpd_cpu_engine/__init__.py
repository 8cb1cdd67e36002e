"""vLLM plugins for tests: what stands between LMCache's in-process connector, NIXL and an engine without a GPU.

Neither package is edited on disk; each module says which of its lines would refuse, and what takes their place.
"""
