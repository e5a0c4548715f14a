"""The intranet's daemon: takes requests from the broker, calls the marketing system, answers. Listens on nothing.

Read as a request goes::

    intake ─► inbox ─► commands ─► marketing ─► commands ─► inbox ─► replies
       └────────────► queries  ─► marketing ─► queries  ───────────► replies

`ceilings` says what each front may ask at most; `app` puts it together; `presence` tells the fronts that it is there;
`trial` tries a binding without a customer.
"""
