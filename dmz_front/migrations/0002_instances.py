"""Leases: the instances that share this database, and until when each is taken for alive."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "instances",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("incarnation", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
        sa.Column("place", sa.String(160), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("instances")
