"""A package, so that its broker is stopped when its last test is over, and not with the session."""
