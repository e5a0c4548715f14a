"""Whose a row of a statement is, and whose an item: two merchants of one channel have payments of the same number."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    for table in ("statement_lines", "statement_items"):
        op.add_column(table, sa.Column("merchant", sa.String(64), nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    for table in ("statement_items", "statement_lines"):
        op.drop_column(table, "merchant")
