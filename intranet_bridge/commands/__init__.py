"""Commands at work: what to do next is decided by pure functions, carried out by workers, and written down first."""
