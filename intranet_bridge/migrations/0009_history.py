"""Whether a database is an older copy of itself. Of those of yesterday nothing is known: they count from now on.

And what a command asked for, as a keyed hash: by it a command is known again whose front's ledger was put back.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "history",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("marked_at", sa.BigInteger, nullable=False),
        sa.Column("copied_at", sa.BigInteger, nullable=False),
        sa.Column("restored_at", sa.BigInteger, nullable=False),
        sa.Column("pending", sa.Boolean, nullable=False),
    )
    with op.batch_alter_table("inbox") as table:
        table.add_column(sa.Column("likeness", sa.LargeBinary(16)))


def downgrade() -> None:
    with op.batch_alter_table("inbox") as table:
        table.drop_column("likeness")
    op.drop_table("history")
