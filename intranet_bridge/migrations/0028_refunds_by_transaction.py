"""What the database refuses of refunds holds for each transaction: a combined payment has several, refunded singly."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

_WHY = "more would be refunded of a transaction than it brought"
_BEFORE = "more would be refunded of a payment than it brought"
_BROUGHT = (
    "SELECT cash FROM payment_transactions WHERE channel = NEW.channel AND transaction_no = NEW.transaction_no"
    " AND order_no = NEW.order_no AND payment = NEW.payment"
)
_OTHERS = (
    "SELECT coalesce(sum(cash), 0) FROM payment_refunds"
    " WHERE channel = NEW.channel AND transaction_no = NEW.transaction_no AND number <> NEW.number"
)
_MOVED = "cash, channel, transaction_no, payment, order_no"
_PAID = "SELECT cash FROM payments WHERE order_no = NEW.order_no AND payment = NEW.payment"
_OTHERS_PAID = (
    "SELECT coalesce(sum(cash), 0) FROM payment_refunds"
    " WHERE order_no = NEW.order_no AND payment = NEW.payment AND number <> NEW.number"
)


def upgrade() -> None:
    whole = sa.text("line = 0 AND state <> 'proven'")
    op.create_index(
        "payment_refunds_whole", "payment_refunds", ["channel", "transaction_no"], unique=True, sqlite_where=whole,
        postgresql_where=whole,
    )  # fmt: skip
    _rule(_BROUGHT, _OTHERS, _MOVED, _WHY)


def downgrade() -> None:
    op.drop_index("payment_refunds_whole", "payment_refunds")
    _rule(_PAID, _OTHERS_PAID, "cash, payment, order_no", _BEFORE)


def _rule(brought: str, others: str, moved: str, why: str) -> None:
    """One rule in the place of the other."""
    if op.get_bind().dialect.name == "sqlite":
        for name, when in (("made", "INSERT"), ("changed", f"UPDATE OF {moved}")):
            op.execute(f"DROP TRIGGER payment_refunds_{name}")
            op.execute(
                f"CREATE TRIGGER payment_refunds_{name} BEFORE {when} ON payment_refunds BEGIN"
                f" SELECT RAISE(ABORT, '{why}') WHERE NEW.cash + ({others}) > coalesce(({brought}), 0); END"
            )
        return
    op.execute("DROP TRIGGER payment_refunds_whole ON payment_refunds")
    op.execute(
        # the row that brought it is locked, so that two refunds cannot each see room for themselves alone
        "CREATE OR REPLACE FUNCTION payment_refunded() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" DECLARE brought bigint; BEGIN {brought.replace('cash FROM', 'cash INTO brought FROM')} FOR UPDATE;"
        f" IF NEW.cash + ({others}) > coalesce(brought, 0) THEN RAISE EXCEPTION '{why}'; END IF; RETURN NEW; END $$"
    )
    op.execute(
        f"CREATE TRIGGER payment_refunds_whole BEFORE INSERT OR UPDATE OF {moved} ON payment_refunds"
        " FOR EACH ROW EXECUTE FUNCTION payment_refunded()"
    )
