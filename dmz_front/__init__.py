"""The daemon in the DMZ. Read as a request goes::

    http ─► admission ─► queries                ─► broker ─► … ─► replies ─► http
                    └──► commands ─► ledger     ─► broker ─► … ─► replies ─► ledger, http

`problems` holds what every room may answer with; `app` puts it together.
"""
