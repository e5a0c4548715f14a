"""Errors as callers get them: RFC 9457 problem details, and the published table of their codes."""
