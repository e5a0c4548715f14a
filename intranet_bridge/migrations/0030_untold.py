"""Outcomes that nobody has confirmed are found without reading what has no outcome yet."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    untold = sa.text("reply IS NOT NULL AND replied_at IS NULL")
    op.create_index("inbox_untold", "inbox", ["owner", "updated_at"], sqlite_where=untold, postgresql_where=untold)
    op.drop_index("inbox_unsent", "inbox")


def downgrade() -> None:
    op.create_index("inbox_unsent", "inbox", ["owner", "replied_at", "updated_at"])
    op.drop_index("inbox_untold", "inbox")
