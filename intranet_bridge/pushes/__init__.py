"""What the marketing system says unasked, and what the bridge does with it.

::

    POST /v1/pushes (endpoint.py, http.py) ─┐
                                            ├─► a push (bodies.py) ─► what follows (effects.py) ─► once (taking.py)
    a table that is read (tables.py) ───────┘

A push has an id of the marketing system's own. Its id, its notices and, of a table, the place up to which it was read
are committed together, so whatever is said again changes nothing more.
"""
