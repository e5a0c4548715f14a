"""What the bridge died of: how often it died with a row in hand, and the envelopes that may have killed it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("inbox") as table:
        table.add_column(sa.Column("crashes", sa.Integer, nullable=False, server_default="0"))
        table.add_column(sa.Column("inquiring_at", sa.BigInteger))
    op.create_table(
        "suspects",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("opened", sa.Integer, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("suspects")
    with op.batch_alter_table("inbox") as table:
        table.drop_column("inquiring_at")
        table.drop_column("crashes")
