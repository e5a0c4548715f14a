"""The proxy of the testbed, for tests."""

from scripts.tools.testbed.proxy import Proxy

__all__ = ["Proxy"]
