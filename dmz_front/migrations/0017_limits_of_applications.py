"""Rates by operation, daily quotas and accounts an hour of an application; and what of a day's quotas is used.

A front of the release before goes by none of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    with op.batch_alter_table("applications") as table:
        table.add_column(sa.Column("limits", sa.Text, nullable=False, server_default="{}"))
    op.create_table(
        "quota_use",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("front", sa.String(64), primary_key=True),
        sa.Column("application", sa.String(64), primary_key=True),
        sa.Column("operation", sa.String(64), primary_key=True),
        sa.Column("used", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("quota_use")
    with op.batch_alter_table("applications") as table:
        table.drop_column("limits")
