"""The front's record of commands, in its database: each once for its idempotency key, in order, until forgotten."""
