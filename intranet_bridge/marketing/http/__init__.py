"""The kind `http`: from the configuration to the bytes, and from the bytes to a value to judge."""
