"""Notices outward: who has subscribed to what (subscriptions.py), and what is on its way to the fronts (outbox.py)."""
