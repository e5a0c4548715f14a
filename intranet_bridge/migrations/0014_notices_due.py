"""Indexes by which the notices that are due are found, however many wait."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    on_way = sa.text("confirmed_at IS NULL AND sent_at IS NOT NULL")
    unsent = sa.text("confirmed_at IS NULL AND sent_at IS NULL")
    op.create_index("notices_on_way", "notices", ["owner", "id"], sqlite_where=on_way, postgresql_where=on_way)
    op.create_index("notices_unsent", "notices", ["owner", "front", "id"], sqlite_where=unsent, postgresql_where=unsent)


def downgrade() -> None:
    for index in ("notices_unsent", "notices_on_way"):
        op.drop_index(index, "notices")
