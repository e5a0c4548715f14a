"""Files that are uploaded before a command names them, sealed, until the bridge has them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "attachments",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("application", sa.String(80), nullable=False),
        sa.Column("media_type", sa.String(32), nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("received", sa.Integer, nullable=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("command", sa.String(36)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("attachments_application", "attachments", ["application"])
    op.create_index("attachments_command", "attachments", ["command"])
    op.create_table(
        "attachment_messages",
        sa.Column("id", sa.String(48), primary_key=True),
        sa.Column("attachment", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("front", sa.String(64), nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
    )
    op.create_index("attachment_messages_attachment", "attachment_messages", ["attachment", "number"])
    op.create_index("attachment_messages_front", "attachment_messages", ["front"])


def downgrade() -> None:
    op.drop_table("attachment_messages")
    op.drop_table("attachments")
