"""What operators decided of commands: a line each, in the bridge's database, kept as long as the command.

The bridge writes it (`bridgectl requests resolve` asks it to, or a front), in the transaction that changes the
command's row. What came of each decision from a front is kept too, refusals as well, so that one that arrives again is
answered and not carried out again.
"""

from sqlalchemy import BigInteger, Boolean, Column, MetaData, String, Table


def decisions_table(metadata: MetaData) -> Table:
    """The `decisions` table of a database."""
    return Table(
        "decisions",
        metadata,
        Column("request", String(64), primary_key=True),
        Column("decided_at", BigInteger, primary_key=True, autoincrement=False),
        Column("choice", String(16), nullable=False),
        Column("decided_by", String(64), nullable=False),
        Column("note", String(400), nullable=False),
    )


def answered_decisions_table(metadata: MetaData) -> Table:
    """The `answered_decisions` table of a bridge's database: those that came from fronts."""
    return Table(
        "answered_decisions",
        metadata,
        Column("id", String(64), primary_key=True),
        Column("request", String(64), nullable=False),
        Column("done", Boolean, nullable=False),
        Column("because", String(400), nullable=False),
        Column("state", String(16), nullable=False),  # of the command, afterwards; empty: it is not there
        Column("answered_at", BigInteger, nullable=False, index=True),
    )
