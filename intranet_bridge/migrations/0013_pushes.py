"""What the marketing system said: pushes that had their effect, and how far its tables were read."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "pushes",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("content", sa.String(22), nullable=False),
        sa.Column("taken_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_pushes_taken_at", "pushes", ["taken_at"])
    op.create_table(
        "push_cursors",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.String(400), nullable=False),
        sa.Column("moved_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in ("push_cursors", "pushes"):
        op.drop_table(table)
