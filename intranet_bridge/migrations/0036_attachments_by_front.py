"""Attachments: whose front's they are, and what each takes here, so that what one front has kept is bounded."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    with op.batch_alter_table("attachments") as table:
        table.add_column(sa.Column("front", sa.String(64), nullable=False, server_default=sa.text("''")))
        table.add_column(sa.Column("kept", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE attachments SET kept = received")
    op.create_index("attachments_front", "attachments", ["front", "kept"])


def downgrade() -> None:
    op.drop_index("attachments_front", "attachments")
    with op.batch_alter_table("attachments") as table:
        table.drop_column("kept")
        table.drop_column("front")
