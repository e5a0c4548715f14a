"""The schema of the first release, 0.1.0. Databases of that release have it, and no revision."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("operation", sa.String(64), nullable=False),
        sa.Column("source", sa.String(160), nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.Column("reply", sa.LargeBinary),
        sa.Column("reply_to", sa.String(160), nullable=False),
        sa.Column("deadline", sa.BigInteger, nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("note", sa.String(400), nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("calling_at", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("replied_at", sa.BigInteger),
        sa.Column("decided_at", sa.BigInteger),
        if_not_exists=True,
    )
    op.create_index("inbox_state", "inbox", ["owner", "state", "updated_at"], if_not_exists=True)
    op.create_index("inbox_unsent", "inbox", ["owner", "replied_at", "updated_at"], if_not_exists=True)
    op.create_index("inbox_decided", "inbox", ["owner", "decided_at"], if_not_exists=True)


def downgrade() -> None:
    raise NotImplementedError("there is no release before this")
