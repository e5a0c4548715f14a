"""Only what operators have decided is in its index: a command that nobody decides is not written into it."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    decided = sa.text("decided_at IS NOT NULL")
    op.drop_index("inbox_decided", "inbox")
    op.create_index("inbox_decided", "inbox", ["owner", "decided_at"], sqlite_where=decided, postgresql_where=decided)


def downgrade() -> None:
    op.drop_index("inbox_decided", "inbox")
    op.create_index("inbox_decided", "inbox", ["owner", "decided_at"])
