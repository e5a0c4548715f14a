"""When a caller was given the outcome: from then on the sealed reply is kept for a while only.

Replies of yesterday have no such instant; they go with their rows, or a while after they are asked for again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

KEPT = "reply IS NOT NULL"


def upgrade() -> None:
    with op.batch_alter_table("requests") as table:
        table.add_column(sa.Column("answered_at", sa.BigInteger))
    op.create_index(
        "requests_answered", "requests", ["answered_at"], sqlite_where=sa.text(KEPT), postgresql_where=sa.text(KEPT)
    )


def downgrade() -> None:
    op.drop_index("requests_answered", "requests")
    with op.batch_alter_table("requests") as table:
        table.drop_column("answered_at")
