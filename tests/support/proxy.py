"""The proxy of the stand, for tests."""

from scripts.tools.testbed.proxy import Proxy

__all__ = ["Proxy"]
