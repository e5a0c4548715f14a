"""Commands that are being inquired about are found at a start without reading all that are unfinished."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    inquiring = sa.text("inquiring_at IS NOT NULL")
    op.create_index(
        "inbox_inquiring", "inbox", ["owner", "inquiring_at"], sqlite_where=inquiring, postgresql_where=inquiring
    )


def downgrade() -> None:
    op.drop_index("inbox_inquiring", "inbox")
