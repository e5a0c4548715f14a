"""Replies that may have killed who opened them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "suspects",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("opened", sa.Integer, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("suspects")
