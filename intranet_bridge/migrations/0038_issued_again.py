"""Bills that were issued: each number of an account's month has its row, so that one that is issued again is seen.

An older program goes on with it: it sees a month's bills as one, as it always did.
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    _keyed_by("account", "month", "bill")


def downgrade() -> None:
    later = (
        "DELETE FROM withholding_issued WHERE EXISTS (SELECT 1 FROM withholding_issued AS other"
        " WHERE other.account = withholding_issued.account AND other.month = withholding_issued.month"
        " AND (other.issued_at > withholding_issued.issued_at"
        " OR (other.issued_at = withholding_issued.issued_at AND other.bill > withholding_issued.bill)))"
    )
    op.execute(later)
    _keyed_by("account", "month")


def _keyed_by(*columns: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("withholding_issued_pkey", "withholding_issued")
        op.create_primary_key("withholding_issued_pkey", "withholding_issued", list(columns))
        return
    op.drop_index("withholding_issued_state", "withholding_issued")
    op.rename_table("withholding_issued", "withholding_issued_before")
    op.create_table(
        "withholding_issued",
        sa.Column("account", sa.String(20), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("bill", sa.String(40), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("line", sa.String(96), nullable=False),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(*columns),
    )
    op.execute("INSERT INTO withholding_issued SELECT * FROM withholding_issued_before")  # its columns in their order
    op.drop_table("withholding_issued_before")
    op.create_index("withholding_issued_state", "withholding_issued", ["state", "issued_at"])
