"""Predecessors: which command of its key each one comes after. Null for those received before: nobody said."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("inbox") as table:
        table.add_column(sa.Column("after", sa.String(64)))


def downgrade() -> None:
    with op.batch_alter_table("inbox") as table:
        table.drop_column("after")
