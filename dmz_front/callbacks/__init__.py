"""Callbacks: where they may go (addresses.py), how they are signed (signing.py), one POST (client.py)."""
