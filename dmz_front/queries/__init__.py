"""Queries: sent, waited for in memory, or refused when the answer would come too late."""
