"""The tables of files, in the bridge's database. Chunks are sealed (at_rest.py)."""

from intranet_bridge.inbox.rows import METADATA
from protocol.runtime.file_store import file_tables

FILES = file_tables(METADATA)
