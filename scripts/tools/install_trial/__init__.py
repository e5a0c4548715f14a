"""The installation tried for real: two hosts that see only each other, from a bundle to an upgrade rolled back."""
