"""What is done with statements: arrivals, runs, items, actions, resolutions."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "statement_cursor",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.Column("file", sa.String(64), nullable=False),
    )
    op.create_table(
        "statement_sources",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("since", sa.Date, nullable=False),
    )
    op.create_table(
        "statement_arrivals",
        sa.Column("file", sa.String(36), primary_key=True),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("claimed_by", sa.String(64), nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
    )
    op.create_index("statement_arrivals_due", "statement_arrivals", ["state", "due_at"])
    op.create_table(
        "statement_runs",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("file", sa.String(36), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("write_offs", sa.BigInteger, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("actions", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("who", sa.String(160), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("claimed_by", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("statement_runs_day", "statement_runs", ["day"])
    op.create_index("statement_runs_file", "statement_runs", ["file"])
    op.create_index("statement_runs_state", "statement_runs", ["state", "due_at"])
    op.create_table(
        "statement_items",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("identity", sa.String(64), nullable=False, unique=True),
        sa.Column("run", sa.String(36), nullable=False),
        sa.Column("first_run", sa.String(36), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("class", sa.String(24), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("transaction_no", sa.String(64), nullable=False),
        sa.Column("order_no", sa.String(64), nullable=False),
        sa.Column("refunds", sa.Text, nullable=False),
        sa.Column("whole", sa.Boolean, nullable=False),
        sa.Column("lines", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("field", sa.String(32), nullable=False),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("books", sa.Text, nullable=False),
        sa.Column("paid_at", sa.String(32), nullable=False),
        sa.Column("steps", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("statement_items_run", "statement_items", ["run", "state"])
    op.create_index("statement_items_state", "statement_items", ["state", "channel"])
    op.create_index("statement_items_transaction", "statement_items", ["transaction_no"])
    op.create_table(
        "statement_actions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("item", sa.String(36), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("operation", sa.String(64), nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
    )
    op.create_index("statement_actions_item", "statement_actions", ["item"])
    op.create_index("statement_actions_state", "statement_actions", ["state"])
    op.create_table(
        "statement_resolutions",
        sa.Column("subject", sa.String(36), primary_key=True),
        sa.Column("who", sa.String(160), primary_key=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    database = op.get_bind()
    if database.execute(sa.text("SELECT 1 FROM statement_runs LIMIT 1")).first():
        raise sa.exc.InvalidRequestError(
            "statements were compared, which an older program would lose (nothing was changed)"
        )
    for table in (
        "statement_resolutions",
        "statement_actions",
        "statement_items",
        "statement_runs",
        "statement_arrivals",
        "statement_sources",
        "statement_cursor",
    ):
        op.drop_table(table)
