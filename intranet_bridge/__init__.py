"""The intranet's daemon: takes requests from the broker, calls the marketing system, answers. Listens on nothing.

Read in the order a request goes::

    intake ─► inbox (commands) ─► worker (decision, ordering) ─► adapters ─► replies
"""
