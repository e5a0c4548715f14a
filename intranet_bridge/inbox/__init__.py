"""The bridge's record of commands, in its database, and which of them is next."""
