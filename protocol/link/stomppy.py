"""The parts of stomp.py this product drives, behind one typed door.

stomp.utils resolves the machine's own host name (DNS) when it is imported, unless told not to; a daemon in a
DMZ must not wait for a resolver to start, so the switch is set before the first import, here and only here.
"""

import os

os.environ.setdefault("STOMP_SKIP_HOSTNAME_SCAN", "1")

from stomp.protocol import Protocol12
from stomp.transport import BaseTransport
from stomp.utils import Frame, calculate_heartbeats

__all__ = ["BaseTransport", "Frame", "Protocol12", "calculate_heartbeats"]
