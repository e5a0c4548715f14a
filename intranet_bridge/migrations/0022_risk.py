"""Risk: payers, decisions, and lists."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "risk_payers",
        sa.Column("payer", sa.String(22), primary_key=True),
        sa.Column("last_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "risk_decisions",
        sa.Column("subject", sa.String(8), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("payer", sa.String(22), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("rule", sa.String(40), nullable=False),
        sa.Column("dry", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("risk_decisions_payer", "risk_decisions", ["payer", "subject", "at"])
    op.create_index("risk_decisions_at", "risk_decisions", ["at"])
    op.create_table(
        "risk_accounts",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(22), primary_key=True),
    )
    op.create_table(
        "risk_listed",
        sa.Column("list", sa.String(40), primary_key=True),
        sa.Column("value", sa.String(22), primary_key=True),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("who", sa.String(160), nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
    )
    op.create_index("risk_listed_value", "risk_listed", ["value"])


def downgrade() -> None:
    for table in ("risk_listed", "risk_accounts", "risk_decisions", "risk_payers"):
        op.drop_table(table)
