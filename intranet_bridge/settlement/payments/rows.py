"""The tables of payment orders, in the bridge's database. Amounts are fen, times epoch milliseconds.

They hold account numbers in clear, as the company's own registers inside do; the books hold none. What the database
itself refuses, whatever a program does: a bill in two orders that are being paid, a channel's transaction in two
payments, a second refund in flight of one line or of one whole transaction, and more refunded of a transaction than it
brought.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, text

from intranet_bridge.inbox.rows import METADATA

ORDERS = Table(
    "payment_orders",
    METADATA,
    Column("number", String(27), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("application", String(64), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("payer", String(64), nullable=False),
    Column("state", String(24), nullable=False),
    Column("code", String(64), nullable=False),
    Column("honoured", Boolean, nullable=False),
    Column("late", String(8), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("payment_orders_request", "request", unique=True),
    Index("payment_orders_due", "due_at"),
    Index("payment_orders_state", "state", "updated_at"),
)
"""`code`: why it was cancelled by itself, or is held. `due_at`: when it is looked at next; none: when something comes.
`late`: a payment that came too late; `bills`, `parts`: what is still to be seen of it."""
LINES = Table(
    "payment_lines",
    METADATA,
    Column("order_no", String(27), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("company", String(32), nullable=False),
    Column("account", String(20), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("code", String(64), nullable=False),
    Column("asked", String(64), nullable=False),
    Column("credit", Boolean, nullable=False),
    Column("refund_request", String(64), nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("reversals", Integer, nullable=False, server_default=text("0")),
    Index("payment_lines_account", "account", "company"),
)
"""`asked`: the command that is under way for it. `credit`: its money may become a prepayment when it is refused.
`refund_request`: the request that asked for its refund. `ended_at`: when its state last became one that ends.
`reversals`: how often its company was asked to reverse it."""
BILLS = Table(
    "payment_bills",
    METADATA,
    Column("order_no", String(27), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("bill", String(40), primary_key=True),
    Column("company", String(32), nullable=False),
    Column("account", String(20), nullable=False),
    Column("in_use", Boolean, nullable=False),
    Index(
        "payment_bills_in_use", "company", "account", "bill", unique=True, sqlite_where=text("in_use"),
        postgresql_where=text("in_use"),
    ),
)  # fmt: skip
"""`in_use`: from `paying` on, until its line has ended."""
PARTS = Table(
    "payment_parts",
    METADATA,
    Column("order_no", String(27), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("promotion", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("funder", String(32), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("asked", String(64), nullable=False),
    Column("code", String(64), nullable=False),
)
"""`state`: empty while it is not reserved."""
PAYMENTS = Table(
    "payments",
    METADATA,
    Column("order_no", String(27), primary_key=True),
    Column("payment", Integer, primary_key=True, autoincrement=False),
    Column("channel", String(32), nullable=False),
    Column("cash", BigInteger, nullable=False),
    Column("taken", String(16), nullable=False),
    Column("paid_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("evidence", String(64), nullable=False),
    Column("source", String(160), nullable=False),
    Index("payments_paid", "channel", "paid_at"),
)
"""Those of an order that are proven: the first is the order's, further ones are surplus. `evidence`: SHA-256 of the
notification; `source`: who passed it on."""
TRANSACTIONS = Table(
    "payment_transactions",
    METADATA,
    Column("channel", String(32), primary_key=True),
    Column("transaction_no", String(64), primary_key=True),
    Column("order_no", String(27), nullable=False),
    Column("payment", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("reference", String(64), nullable=False),
    Column("cash", BigInteger, nullable=False),
    Index("payment_transactions_order", "order_no", "payment", "number"),
)
"""The channel's transactions of a payment: one, or one a line of a combined one."""
REFUNDS = Table(
    "payment_refunds",
    METADATA,
    Column("number", String(40), primary_key=True),
    Column("order_no", String(27), nullable=False),
    Column("line", Integer, nullable=False),
    Column("payment", Integer, nullable=False),
    Column("channel", String(32), nullable=False),
    Column("transaction_no", String(64), nullable=False),
    Column("cash", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("statements", Integer, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("payment_refunds_order", "order_no", "payment"),
    Index("payment_refunds_state", "state", "requested_at"),
    Index(
        "payment_refunds_in_flight", "order_no", "line", unique=True,
        sqlite_where=text("line > 0 AND state <> 'proven'"),
        postgresql_where=text("line > 0 AND state <> 'proven'"),
    ),
    Index(
        "payment_refunds_whole", "channel", "transaction_no", unique=True,
        sqlite_where=text("line = 0 AND state <> 'proven'"),
        postgresql_where=text("line = 0 AND state <> 'proven'"),
    ),
)  # fmt: skip
"""Line 0: of a payment too many, or of another amount. `transaction_no`: of the payment that it is of."""
