"""Withholding: batches, their lines, files and answers."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "withholding_batches",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("org", sa.String(16), nullable=False),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("bank", sa.String(16), nullable=False),
        sa.Column("in_transit", sa.String(1), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("findings", sa.Text, nullable=False),
        sa.Column("file_name", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("file", sa.String(36), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("sealed_at", sa.BigInteger, nullable=False),
        sa.Column("sent_at", sa.BigInteger, nullable=False),
        sa.Column("answered_at", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("withholding_batches_day", "withholding_batches", ["org", "unit", "day"], unique=True)
    op.create_index("withholding_batches_state", "withholding_batches", ["state"])
    op.create_table(
        "withholding_content",
        sa.Column("batch", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "withholding_lines",
        sa.Column("id", sa.String(96), primary_key=True),
        sa.Column("det_id", sa.String(32), nullable=False),
        sa.Column("batch", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("company", sa.String(64), nullable=False),
        sa.Column("account", sa.String(20), nullable=False),
        sa.Column("agreement", sa.String(40), nullable=False),
        sa.Column("pay_account", sa.LargeBinary, nullable=False),
        sa.Column("quantity", sa.String(16), nullable=False),
        sa.Column("bill", sa.String(40), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("penalty", sa.BigInteger, nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("checked_at", sa.BigInteger, nullable=False),
        sa.Column("hold", sa.String(12), nullable=False),
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column("debited", sa.BigInteger, nullable=False),
        sa.Column("paid_on", sa.Date),
        sa.Column("bank_number", sa.String(64), nullable=False),
        sa.Column("payment", sa.String(40), nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index("withholding_lines_batch", "withholding_lines", ["batch", "state"])
    flying = sa.text("ended_at IS NULL AND bill <> ''")
    op.create_index(
        "withholding_lines_in_flight",
        "withholding_lines",
        ["company", "account", "bill"],
        unique=True,
        sqlite_where=flying,
        postgresql_where=flying,
    )
    op.create_index("withholding_lines_request", "withholding_lines", ["request"])
    op.create_table(
        "withholding_answers",
        sa.Column("file", sa.String(36), primary_key=True),
        sa.Column("batch", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("findings", sa.Text, nullable=False),
        sa.Column("filled", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("withholding_answers_batch", "withholding_answers", ["batch"])
    op.create_index("withholding_answers_state", "withholding_answers", ["state", "received_at"])
    op.create_table(
        "withholding_retries",
        sa.Column("line", sa.String(96), primary_key=True),
        sa.Column("due", sa.Date, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("next", sa.String(96), nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("withholding_retries_due", "withholding_retries", ["state", "due"])
    op.create_table(
        "withholding_issued",
        sa.Column("account", sa.String(20), primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("bill", sa.String(40), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("line", sa.String(96), nullable=False),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("withholding_issued_state", "withholding_issued", ["state", "issued_at"])
    op.create_table(
        "withholding_numbers",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "withholding_cursor",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    database = op.get_bind()
    if database.execute(sa.text("SELECT 1 FROM withholding_batches LIMIT 1")).first():
        raise sa.exc.InvalidRequestError(
            "there are batches of withholding, which an older program would lose (nothing was changed)"
        )
    op.drop_table("withholding_cursor")
    op.drop_table("withholding_numbers")
    op.drop_table("withholding_issued")
    op.drop_table("withholding_retries")
    op.drop_table("withholding_answers")
    op.drop_table("withholding_lines")
    op.drop_table("withholding_content")
    op.drop_table("withholding_batches")
