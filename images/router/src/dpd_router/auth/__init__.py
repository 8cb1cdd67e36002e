"""Who may call: API keys from mounted files, a rate for each, and what is decided before a body is read."""

from dpd_router.auth.bucket import Rate
from dpd_router.auth.gate import Gate
from dpd_router.auth.keys import Keyring
from dpd_router.auth.store import KeyStore

__all__ = ["Gate", "KeyStore", "Keyring", "Rate"]
