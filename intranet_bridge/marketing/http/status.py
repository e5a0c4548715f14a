"""What an HTTP status says of a request by itself: the same for all that is spoken over HTTP. Pure.

================  ===================================  ===================================
status            a query                              a command
================  ===================================  ===================================
5xx, 408          Unknown: a gateway says 502 or 504 after the system behind it has acted
302, 303          NotApplied, not reached              Unknown: 303 answers a POST that was done
                                                       (RFC 9110 §15.4.4); by 302 systems send to a log-in,
                                                       and also to a page for errors after they have acted
other 3xx         NotApplied, not reached: the request is to be sent elsewhere, so our address is wrong
401, 403, 407     NotApplied, not reached: our credentials are wrong, not the request
429               NotApplied, reached
409               as other 4xx                         Unknown, unless the body says no: who tells request ids
                                                       apart says so of one that is there already
other 4xx         nothing by itself: the body may say no, else Rejected
2xx               nothing by itself
================  ===================================  ===================================
"""

from intranet_bridge.marketing import Fault, NotApplied, Outcome, Rejected, Unknown

DENIED = frozenset({401, 403, 407})
_AFTERWARDS = frozenset({302, 303})
_CONFLICT = 409


def said_by(status: int, *, command: bool) -> Outcome | None:
    """What came of a request by the status alone; None: the body is to be judged."""
    if status >= 500 or status == 408:
        return Unknown(f"HTTP {status}")
    if command and status in _AFTERWARDS:
        return Unknown(f"HTTP {status}: sent to another page, which may be after it was done")
    if status in DENIED or 300 <= status < 400:
        return NotApplied(f"HTTP {status}", reached=False, denied=True)
    if status == 429:
        return NotApplied("HTTP 429", reached=True)
    return None


def turned_down(status: int, *, command: bool) -> Outcome | None:
    """What came of a request whose status says no, but no code in the body; None: the status says no no."""
    if status < 400:
        return None
    if command and status == _CONFLICT:
        return Unknown("HTTP 409 without a refusal code: it may be there already", fault=Fault.ANSWER)
    return Rejected(f"HTTP {status}")
