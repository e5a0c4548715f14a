"""Installing, upgrading and removing dmz-bridge on a host, and the offline bundle that carries it there (README.md)."""
