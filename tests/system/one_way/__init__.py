"""A package, so that its hosts are gone when its last test is over, and not with the session."""
