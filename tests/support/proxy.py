"""The proxy of the stand, for tests."""

from scripts.stand.proxy import Proxy

__all__ = ["Proxy"]
