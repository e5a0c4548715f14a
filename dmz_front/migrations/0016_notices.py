"""Notices to applications, sealed, and how far their delivery is; which callback a command named."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("application", sa.String(64), nullable=False),
        sa.Column("place", sa.BigInteger),
        sa.Column("stream", sa.String(22), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("front", sa.String(64), nullable=False),
        sa.Column("callback", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("fault", sa.String(200), nullable=False),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index("notices_place", "notices", ["application", "place"], unique=True)
    op.create_index(
        "notices_waiting", "notices", ["application", "stream", "sequence"],
        sqlite_where=waiting, postgresql_where=waiting,
    )  # fmt: skip
    op.create_index("notices_state", "notices", ["state", "recorded_at"])
    op.create_table(
        "notice_places",
        sa.Column("application", sa.String(64), primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "request_callbacks",
        sa.Column("request", sa.String(36), primary_key=True),
        sa.Column("callback", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    for table in ("request_callbacks", "notice_places", "notices"):
        op.drop_table(table)
