"""The tables of imports, in the bridge's database."""

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table

from intranet_bridge.inbox.rows import METADATA

IMPORTS = Table(
    "imports",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("live", BigInteger, nullable=False),  # the generation that is answered from; 0: none yet
    Column("as_of", BigInteger, nullable=False),  # when the run began that brought it up to date
    Column("rows", BigInteger, nullable=False),
    Column("edition", BigInteger, nullable=False),  # grows with whatever changes in the live generation
    Column("cursor", String(400), nullable=False),  # JSON: how far the live generation was read, for the next increment
    Column("loading", BigInteger, nullable=False),  # the generation that a run writes to; 0: no run is unfinished
    Column("run_cursor", String(400), nullable=False),
    Column("run_rows", BigInteger, nullable=False),
    Column("began_at", BigInteger, nullable=False),  # of the latest run
    Column("moved_at", BigInteger, nullable=False),  # when it wrote last
    Column("runner", String(64), nullable=False),
    Column("source", String(22), nullable=False),  # what the unfinished run reads, hashed: with another it begins anew
)
ROWS = Table(
    "import_rows",
    METADATA,
    Column("import", String(64), primary_key=True, key="of"),
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(128), primary_key=True),  # its keyed hash, if it is a customer's
    Column("body", LargeBinary, nullable=False),  # JSON; sealed, if it is a customer's
)
