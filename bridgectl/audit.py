"""Administrative acts that no daemon does itself, written where they can be found again.

A line goes to the system's log (syslog(3), facility authpriv), and one to the log of each daemon of this host that
runs, which names the user by the kernel's word.
"""

import json
import syslog
from typing import Any

from bridgectl import daemons
from bridgectl.stores import operator
from protocol.errors import BridgeError

_PATIENCE_S = 2.0


def record(act: str, **fields: Any) -> None:
    """Write down that `act` is about to be done. Identifiers and counts alone."""
    said = {"act": act, "by": operator(), **fields}
    syslog.openlog("bridgectl", 0, syslog.LOG_AUTHPRIV)
    syslog.syslog(syslog.LOG_NOTICE, json.dumps(said, ensure_ascii=False))
    for role, path in daemons.configured():
        try:
            daemons.tell(role, path, "audit", _PATIENCE_S, act=act, details=json.dumps(fields, ensure_ascii=False))
        except BridgeError:
            continue  # it does not run: the system's log has it
