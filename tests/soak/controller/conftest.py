"""The controller's suite with its slow parts: leases that run out, upgrades that are cut off."""

from controller.conftest import installed, tenant_of

__all__ = ["installed", "tenant_of"]
