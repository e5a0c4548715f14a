"""Queries at work: one call of the marketing system each, within its deadline, without a database."""
