"""The router's API: one table of what is served, and the OpenAPI document made from it. Decides only; no I/O."""

from dpd_router.api.routes import Kind, Routes, Served

__all__ = ["Kind", "Routes", "Served"]
