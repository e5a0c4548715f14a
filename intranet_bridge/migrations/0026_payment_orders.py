"""Payment orders: lines, part payments, payments and refunds; and what the database itself refuses of them."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

SQLITE = [
    "CREATE TRIGGER payment_refunds_made BEFORE INSERT ON payment_refunds BEGIN"
    " SELECT RAISE(ABORT, 'more would be refunded of a payment than it brought')"
    " WHERE NEW.cash + (SELECT coalesce(sum(cash), 0) FROM payment_refunds"
    "  WHERE order_no = NEW.order_no AND payment = NEW.payment AND number <> NEW.number)"
    " > (SELECT coalesce(sum(cash), 0) FROM payments WHERE order_no = NEW.order_no AND payment = NEW.payment); END",
    "CREATE TRIGGER payment_refunds_changed BEFORE UPDATE OF cash, payment, order_no ON payment_refunds BEGIN"
    " SELECT RAISE(ABORT, 'more would be refunded of a payment than it brought')"
    " WHERE NEW.cash + (SELECT coalesce(sum(cash), 0) FROM payment_refunds"
    "  WHERE order_no = NEW.order_no AND payment = NEW.payment AND number <> NEW.number)"
    " > (SELECT coalesce(sum(cash), 0) FROM payments WHERE order_no = NEW.order_no AND payment = NEW.payment); END",
]
POSTGRESQL = [
    # the payment's row is locked, so that two refunds cannot each see room for themselves alone
    "CREATE FUNCTION payment_refunded() RETURNS trigger LANGUAGE plpgsql AS $$"
    " DECLARE brought bigint; BEGIN"
    " SELECT cash INTO brought FROM payments WHERE order_no = NEW.order_no AND payment = NEW.payment FOR UPDATE;"
    " IF NEW.cash + (SELECT coalesce(sum(cash), 0) FROM payment_refunds"
    "  WHERE order_no = NEW.order_no AND payment = NEW.payment AND number <> NEW.number) > coalesce(brought, 0) THEN"
    "  RAISE EXCEPTION 'more would be refunded of a payment than it brought'; END IF;"
    " RETURN NEW; END $$",
    "CREATE TRIGGER payment_refunds_whole BEFORE INSERT OR UPDATE OF cash, payment, order_no ON payment_refunds"
    " FOR EACH ROW EXECUTE FUNCTION payment_refunded()",
]


def upgrade() -> None:
    op.create_table(
        "payment_orders",
        sa.Column("number", sa.String(27), primary_key=True),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("application", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("payer", sa.String(64), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("honoured", sa.Boolean, nullable=False),
        sa.Column("late", sa.String(8), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("payment_orders_request", "payment_orders", ["request"], unique=True)
    op.create_index("payment_orders_due", "payment_orders", ["due_at"])
    op.create_index("payment_orders_state", "payment_orders", ["state", "updated_at"])
    op.create_table(
        "payment_lines",
        sa.Column("order_no", sa.String(27), primary_key=True),
        sa.Column("line", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("company", sa.String(32), nullable=False),
        sa.Column("account", sa.String(20), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("asked", sa.String(64), nullable=False),
        sa.Column("credit", sa.Boolean, nullable=False),
        sa.Column("refund_request", sa.String(64), nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
    )
    op.create_index("payment_lines_account", "payment_lines", ["account", "company"])
    op.create_table(
        "payment_bills",
        sa.Column("order_no", sa.String(27), primary_key=True),
        sa.Column("line", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("bill", sa.String(40), primary_key=True),
        sa.Column("company", sa.String(32), nullable=False),
        sa.Column("account", sa.String(20), nullable=False),
        sa.Column("in_use", sa.Boolean, nullable=False),
    )
    op.create_index(
        "payment_bills_in_use", "payment_bills", ["company", "account", "bill"], unique=True,
        sqlite_where=sa.text("in_use"), postgresql_where=sa.text("in_use"),
    )  # fmt: skip
    op.create_table(
        "payment_parts",
        sa.Column("order_no", sa.String(27), primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("promotion", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("funder", sa.String(32), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("asked", sa.String(64), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
    )
    op.create_table(
        "payments",
        sa.Column("order_no", sa.String(27), primary_key=True),
        sa.Column("payment", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("cash", sa.BigInteger, nullable=False),
        sa.Column("taken", sa.String(16), nullable=False),
        sa.Column("paid_at", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("evidence", sa.String(64), nullable=False),
        sa.Column("source", sa.String(160), nullable=False),
    )
    op.create_index("payments_paid", "payments", ["channel", "paid_at"])
    op.create_table(
        "payment_transactions",
        sa.Column("channel", sa.String(32), primary_key=True),
        sa.Column("transaction_no", sa.String(64), primary_key=True),
        sa.Column("order_no", sa.String(27), nullable=False),
        sa.Column("payment", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.Column("cash", sa.BigInteger, nullable=False),
    )
    op.create_index("payment_transactions_order", "payment_transactions", ["order_no", "payment", "number"])
    op.create_table(
        "payment_refunds",
        sa.Column("number", sa.String(40), primary_key=True),
        sa.Column("order_no", sa.String(27), nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("payment", sa.Integer, nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("transaction_no", sa.String(64), nullable=False),
        sa.Column("cash", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("statements", sa.Integer, nullable=False),
        sa.Column("requested_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("payment_refunds_order", "payment_refunds", ["order_no", "payment"])
    op.create_index("payment_refunds_state", "payment_refunds", ["state", "requested_at"])
    in_flight = sa.text("line > 0 AND state <> 'proven'")
    op.create_index(
        "payment_refunds_in_flight", "payment_refunds", ["order_no", "line"], unique=True, sqlite_where=in_flight,
        postgresql_where=in_flight,
    )  # fmt: skip
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    database = op.get_bind()
    if database.execute(sa.text("SELECT 1 FROM payments LIMIT 1")).first():
        raise sa.exc.InvalidRequestError("there are payments, which an older program would lose (nothing was changed)")
    for table in (
        "payment_refunds", "payment_transactions", "payments", "payment_parts", "payment_bills", "payment_lines",
        "payment_orders",
    ):  # fmt: skip
        op.drop_table(table)
    if database.dialect.name != "sqlite":
        op.execute("DROP FUNCTION payment_refunded()")
