"""The order of acceptance: each row's subject, and its position among the unfinished rows of it.

Rows of yesterday have no subject here (it is in their sealed envelopes only): they keep the order of arrival they had.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

IN_ORDER = "subject <> '' AND state IN ('accepted', 'sent')"


def upgrade() -> None:
    with op.batch_alter_table("requests") as table:
        table.add_column(sa.Column("subject", sa.String(64), nullable=False, server_default=""))
        table.add_column(sa.Column("position", sa.Integer, nullable=False, server_default="0"))
    op.create_index(
        "requests_order",
        "requests",
        ["subject", "position"],
        sqlite_where=sa.text(IN_ORDER),
        postgresql_where=sa.text(IN_ORDER),
    )


def downgrade() -> None:
    op.drop_index("requests_order", "requests")
    with op.batch_alter_table("requests") as table:
        table.drop_column("subject")
        table.drop_column("position")
