"""TLS on the port that also takes plain HTTP: a connection's first byte says which of the two it is."""

from dpd_router.tls.certificates import Certificates
from dpd_router.tls.expiry import Expiry
from dpd_router.tls.listener import Listener

__all__ = ["Certificates", "Expiry", "Listener"]
