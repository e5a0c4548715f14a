"""Clearing: statements that are cleared, sheets with their parts, what waits, arrivals, adjustments."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

AMOUNTS = ("count", "gross", "refunds", "fee", "promotions", "funded", "discounts", "adjustments")


def _amounts() -> list["sa.Column[int]"]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in AMOUNTS]


def upgrade() -> None:
    op.create_table(
        "clearing_files",
        sa.Column("file", sa.String(36), primary_key=True),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("company", sa.String(64), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("line", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("clearing_files_state", "clearing_files", ["state", "day"])
    op.create_index("clearing_files_name", "clearing_files", ["name"])
    op.create_index("clearing_files_day", "clearing_files", ["channel", "day"])
    op.create_table(
        "clearing_sheets",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("company", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("signed", sa.Text, nullable=False),
        *_amounts(),
        sa.Column("carried", sa.BigInteger, nullable=False),
        sa.Column("arrived", sa.BigInteger, nullable=False),
        sa.Column("carried_into", sa.String(128), nullable=False),
        sa.Column("file", sa.LargeBinary),
        sa.Column("submitted", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("company", "channel", "day", name="clearing_sheets_day"),
        sa.UniqueConstraint("company", "day", "sequence", name="clearing_sheets_sequence"),
    )
    op.create_index("clearing_sheets_state", "clearing_sheets", ["state", "day"])
    op.create_table(
        "clearing_parts",
        sa.Column("sheet", sa.String(128), primary_key=True),
        sa.Column("kind", sa.String(12), primary_key=True),
        sa.Column("source", sa.String(128), primary_key=True),
        sa.Column("origin", sa.Date, nullable=False),
        *_amounts(),
    )
    op.create_index("clearing_parts_source", "clearing_parts", ["source"])
    op.create_table(
        "clearing_waiting",
        sa.Column("file", sa.String(36), primary_key=True),
        sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("order_line", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("company", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("why", sa.String(12), nullable=False),
    )
    op.create_index("clearing_waiting_day", "clearing_waiting", ["company", "channel", "day"])
    op.create_table(
        "clearing_arrivals",
        sa.Column("sheet", sa.String(128), primary_key=True),
        sa.Column("row", sa.String(128), primary_key=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("who", sa.String(160), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("clearing_arrivals_row", "clearing_arrivals", ["row"])
    op.create_table(
        "clearing_adjustments",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("company", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("against", sa.String(12), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("sheet", sa.String(128), nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("into", sa.String(128), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("clearing_adjustments_into", "clearing_adjustments", ["into"])
    op.create_index("clearing_adjustments_sheet", "clearing_adjustments", ["sheet"])
    op.create_table(
        "clearing_acts",
        sa.Column("sheet", sa.String(128), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("who", sa.String(160), nullable=False),
        sa.Column("words", sa.Text, nullable=False),
    )


def downgrade() -> None:
    database = op.get_bind()
    if database.execute(sa.text("SELECT 1 FROM clearing_sheets LIMIT 1")).first():
        raise sa.exc.InvalidRequestError(
            "there are clearing sheets, which an older program would lose (nothing was changed)"
        )
    for table in ("acts", "adjustments", "arrivals", "waiting", "parts", "sheets", "files"):
        op.drop_table(f"clearing_{table}")
