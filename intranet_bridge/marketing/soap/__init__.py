"""The kind `soap`: a WSDL read by zeep, messages over the bridge's own HTTP client.

::

    request expression ─► zeep: typed envelope ─► UsernameToken ─► HttpClient ─► envelope ─► fault? ─► faults table
                                                                                     │
                                                                                     └─► object (reader.py) ─► judgement

zeep and lxml are an extra (`soap`): of the modules here only `binding`, `check` and `kind` do without them.
"""
