"""Notices outward: subscriptions, streams, what was published, and what is on its way; the database's own key."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "store_key",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sealed_to", sa.LargeBinary(8), nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "notice_subscriptions",
        sa.Column("stream", sa.String(22), primary_key=True),
        sa.Column("application", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("front", sa.String(64), nullable=False),
        sa.Column("account", sa.LargeBinary, nullable=False),
        sa.Column("consent_version", sa.String(40), nullable=False),
        sa.Column("consent_at", sa.String(40), nullable=False),
        sa.Column("subscribed_at", sa.BigInteger, nullable=False),
    )
    op.create_index("notice_subscriptions_application", "notice_subscriptions", ["application"])
    op.create_table(
        "notice_streams",
        sa.Column("stream", sa.String(22), primary_key=True),
        sa.Column("application", sa.String(64), primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "notice_pushes",
        sa.Column("push", sa.String(128), primary_key=True),
        sa.Column("stream", sa.String(22), primary_key=True),
        sa.Column("published_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_notice_pushes_published_at", "notice_pushes", ["published_at"])
    op.create_table(
        "notices",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("stream", sa.String(22), nullable=False),
        sa.Column("application", sa.String(64), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("front", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("published_at", sa.BigInteger, nullable=False),
        sa.Column("sent_at", sa.BigInteger),
        sa.Column("sends", sa.Integer, nullable=False),
        sa.Column("confirmed_at", sa.BigInteger),
    )
    unconfirmed = sa.text("confirmed_at IS NULL")
    op.create_index(
        "notices_unconfirmed", "notices", ["stream", "application", "sequence"],
        sqlite_where=unconfirmed, postgresql_where=unconfirmed,
    )  # fmt: skip
    op.create_index("notices_confirmed", "notices", ["confirmed_at"])


def downgrade() -> None:
    for table in ("notices", "notice_pushes", "notice_streams", "notice_subscriptions", "store_key"):
        op.drop_table(table)
