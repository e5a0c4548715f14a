"""Statements: the files that came, and their rows."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "statement_files",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("merchant", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("findings", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("paid", sa.BigInteger, nullable=False),
        sa.Column("refunded", sa.BigInteger, nullable=False),
        sa.Column("settled", sa.BigInteger, nullable=False),
        sa.Column("fee", sa.BigInteger, nullable=False),
        sa.Column("who", sa.String(160), nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("statement_files_name", "statement_files", ["name"])
    op.create_index("statement_files_day", "statement_files", ["channel", "day"])
    op.create_table(
        "statement_lines",
        sa.Column("file", sa.String(36), primary_key=True),
        sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("transaction_no", sa.String(64), nullable=False),
        sa.Column("order_no", sa.String(64), nullable=False),
        sa.Column("refund_no", sa.String(64), nullable=False),
        sa.Column("platform_refund_no", sa.String(64), nullable=False),
        sa.Column("gross", sa.BigInteger, nullable=False),
        sa.Column("settled", sa.BigInteger, nullable=False),
        sa.Column("fee", sa.BigInteger, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("month", sa.String(6), nullable=False),
        sa.Column("bills", sa.Text, nullable=False),
        sa.Column("penalty", sa.BigInteger),
    )
    op.create_index("statement_lines_transaction", "statement_lines", ["transaction_no"])
    op.create_index("statement_lines_order", "statement_lines", ["order_no"])


def downgrade() -> None:
    database = op.get_bind()
    if database.execute(sa.text("SELECT 1 FROM statement_files LIMIT 1")).first():
        raise sa.exc.InvalidRequestError(
            "there are statements, which an older program would lose (nothing was changed)"
        )
    op.drop_table("statement_lines")
    op.drop_table("statement_files")
