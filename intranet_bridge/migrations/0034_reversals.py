"""How often a line's company was asked to reverse it; and bills of orders that went back whole are in use no more."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    op.add_column("payment_lines", sa.Column("reversals", sa.Integer, nullable=False, server_default=sa.text("0")))
    # each was asked for once at most: a second one had no outcome
    op.execute("UPDATE payment_lines SET reversals = 1 WHERE asked LIKE '%-X' OR state IN ('refunding', 'refunded')")
    op.execute("UPDATE payment_lines SET reversals = 1 WHERE state = 'written-off' AND code <> ''")
    # what was asked for again was not recorded, so that nothing would ever come of it
    op.execute(
        "UPDATE payment_lines SET asked = '', refund_request = '' WHERE asked LIKE '%-X' AND NOT EXISTS"
        " (SELECT 1 FROM inbox WHERE inbox.id = payment_lines.asked AND"
        " (replied_at IS NULL OR inbox.state NOT IN ('refused', 'failed', 'expired')))"
    )
    op.execute(
        "UPDATE payment_bills SET in_use = false WHERE in_use AND order_no IN"
        " (SELECT number FROM payment_orders WHERE state = 'completed-with-refunds')"
    )


def downgrade() -> None:
    op.drop_column("payment_lines", "reversals")
