"""What operators decided at the fronts, sealed, until a bridge has answered."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("request", sa.String(36), nullable=False),
        sa.Column("choice", sa.String(16), nullable=False),
        sa.Column("decided_by", sa.String(64), nullable=False),
        sa.Column("note", sa.String(400), nullable=False),
        sa.Column("decided_at", sa.BigInteger, nullable=False),
        sa.Column("front", sa.String(64), nullable=False),
        sa.Column("standing", sa.String(16), nullable=False),
        sa.Column("because", sa.String(400), nullable=False),
        sa.Column("destination", sa.String(160), nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.Column("sent_at", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("decisions_request", "decisions", ["request"])
    op.create_index("decisions_standing", "decisions", ["standing", "front"])


def downgrade() -> None:
    op.drop_table("decisions")
