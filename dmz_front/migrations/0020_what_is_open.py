"""Commands that are not final are found by whose they are and when they were sent, those without an outcome by age,
without reading all there are of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    is_open = sa.text("state NOT IN ('succeeded', 'refused', 'failed', 'expired')")
    waiting = sa.text("state NOT IN ('succeeded', 'refused', 'failed', 'expired', 'held')")
    op.create_index(
        "requests_open", "requests", ["front", "state", "operation", "sends", "sent_at", "id"],
        sqlite_where=is_open, postgresql_where=is_open,
    )  # fmt: skip
    op.create_index("requests_waiting", "requests", ["operation", "id"], sqlite_where=waiting, postgresql_where=waiting)


def downgrade() -> None:
    op.drop_index("requests_waiting", "requests")
    op.drop_index("requests_open", "requests")
