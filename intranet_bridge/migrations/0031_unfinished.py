"""Unfinished commands are read a page at a time, by operation and by key."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    unfinished = sa.text("state NOT IN ('accepted', 'sent', 'held', 'succeeded', 'refused', 'failed', 'expired')")
    for name, column in (("inbox_unfinished", "operation"), ("inbox_keys", "subject")):
        op.create_index(
            name, "inbox", ["owner", column, "sequence"], sqlite_where=unfinished, postgresql_where=unfinished
        )


def downgrade() -> None:
    op.drop_index("inbox_keys", "inbox")
    op.drop_index("inbox_unfinished", "inbox")
