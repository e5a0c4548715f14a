"""The tables of money, in the bridge's database."""

from intranet_bridge.inbox.rows import METADATA
from protocol.runtime.books import books_tables

BOOKS = books_tables(METADATA)
