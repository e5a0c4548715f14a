"""Attachments: their sealed messages, and which command names which."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "attachments",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("length", sa.Integer),
        sa.Column("received", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("fault", sa.String(16), nullable=False),
        sa.Column("reference", sa.String(200)),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("attachments_updated", "attachments", ["updated_at"])
    op.create_table(
        "attachment_messages",
        sa.Column("attachment", sa.String(36), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "attachment_uses",
        sa.Column("request", sa.String(64), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("attachment", sa.String(36), nullable=False),
    )
    op.create_index("attachment_uses_attachment", "attachment_uses", ["attachment"])


def downgrade() -> None:
    op.drop_table("attachment_uses")
    op.drop_table("attachment_messages")
    op.drop_table("attachments")
