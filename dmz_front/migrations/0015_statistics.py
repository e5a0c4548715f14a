"""Statistics by day. They begin with this revision."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "statistics",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("front", sa.String(64), primary_key=True),
        sa.Column("operation", sa.String(64), primary_key=True),
        sa.Column("application", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("status", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("outcome", sa.String(160), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "statistics_latencies",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("front", sa.String(64), primary_key=True),
        sa.Column("operation", sa.String(64), primary_key=True),
        sa.Column("application", sa.String(64), primary_key=True),
        sa.Column("bins", sa.Text, nullable=False),
    )
    op.create_table(
        "statistics_written",
        sa.Column("front", sa.String(64), primary_key=True),
        sa.Column("batch", sa.String(36), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("statistics_written")
    op.drop_table("statistics_latencies")
    op.drop_table("statistics")
