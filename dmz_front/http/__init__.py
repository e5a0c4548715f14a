"""From bytes of a client to a call of an operation, and back: connections, heads, the endpoint, the pages beside it."""
