"""The configuration file: closed, checked whole, every problem told at once."""

from dpd_router.config.load import Config, load

__all__ = ["Config", "load"]
