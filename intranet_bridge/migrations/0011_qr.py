"""Customers' QR codes: generations, what was issued, tickets, and batches. They begin with this revision."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "qr_generations",
        sa.Column("account", sa.String(20), primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("good_until", sa.BigInteger),
        sa.Column("request", sa.String(64), nullable=False),
    )
    op.create_table(
        "qr_codes",
        sa.Column("request", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(20), primary_key=True),
        sa.Column("kid", sa.String(8), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("batch", sa.String(64), nullable=False),
        sa.Column("who", sa.String(160), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("qr_codes_account", "qr_codes", ["account", "at"])
    op.create_table(
        "qr_tickets",
        sa.Column("hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("account", sa.String(20), nullable=False),
        sa.Column("page", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("redeemed_by", sa.String(64)),
    )
    op.create_index("qr_tickets_expires", "qr_tickets", ["expires_at"])
    op.create_table(
        "qr_batches",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("application", sa.String(64), nullable=False),
        sa.Column("who", sa.String(160), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("refused", sa.String(40), nullable=False),
        sa.Column("sheet", sa.LargeBinary),
        sa.Column("parts", sa.Integer, nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.String(64), nullable=False),
        sa.Column("worker_until", sa.BigInteger, nullable=False),
    )
    op.create_index("qr_batches_state", "qr_batches", ["state", "created_at"])
    op.create_table(
        "qr_batch_rows",
        sa.Column("batch", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("verdict", sa.String(20), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("done", sa.Boolean, nullable=False),
        sa.Column("png", sa.LargeBinary),
    )
    op.create_table(
        "qr_batch_parts",
        sa.Column("batch", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    for table in ("qr_batch_parts", "qr_batch_rows", "qr_batches", "qr_tickets", "qr_codes", "qr_generations"):
        op.drop_table(table)
