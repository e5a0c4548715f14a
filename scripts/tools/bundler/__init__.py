"""Makes the offline bundle: everything a host needs that reaches no package index, in one tar (installer/README.md)."""
