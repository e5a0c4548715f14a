"""The time that utilities, banks and payment platforms of China go by. Pure."""

from datetime import timedelta, timezone

CHINA = timezone(timedelta(hours=8))
"""Asia/Shanghai: no summer time since 1991, and nothing here is older."""
