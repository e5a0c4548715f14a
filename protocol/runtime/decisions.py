"""What operators decided of held commands: a line each, in the bridge's database, kept as long as the command.

The bridge writes it (`bridgectl requests resolve` asks it to), in the transaction that changes the command's row.
"""

from sqlalchemy import BigInteger, Column, MetaData, String, Table


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
