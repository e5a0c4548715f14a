"""A package, so that its testbed is stopped when its last test is over, and not with the session."""
