"""The inbox's identity, which presence tells the fronts; and what operators decided of held commands."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "identity",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("inbox", sa.String(36), nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("request", sa.String(64), primary_key=True),
        sa.Column("decided_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("choice", sa.String(16), nullable=False),
        sa.Column("decided_by", sa.String(64), nullable=False),
        sa.Column("note", sa.String(400), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("decisions")
    op.drop_table("identity")
