"""What bridges of one database tell each other of their kept answers."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "hot_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("about", sa.LargeBinary),
        sa.Column("operations", sa.String(4000), nullable=False),
        sa.Column("settle_ms", sa.BigInteger, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_hot_changes_made_at", "hot_changes", ["made_at"])


def downgrade() -> None:
    op.drop_table("hot_changes")
