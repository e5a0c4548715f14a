"""Which inbox the region's commands are addressed to."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "region_inbox",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("inbox", sa.String(36), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("bound_at", sa.BigInteger, nullable=False),
        sa.Column("bound_by", sa.String(64), nullable=False),
        sa.Column("note", sa.String(400), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("region_inbox")
