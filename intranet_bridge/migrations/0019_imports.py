"""The intermediate store: how far each import was read, and what it brought."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "imports",
        sa.Column("name", sa.String(64), primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("live", "as_of", "rows", "edition")),
        sa.Column("cursor", sa.String(400), nullable=False),
        sa.Column("loading", sa.BigInteger, nullable=False),
        sa.Column("run_cursor", sa.String(400), nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("run_rows", "began_at", "moved_at")),
        sa.Column("runner", sa.String(64), nullable=False),
        sa.Column("source", sa.String(22), nullable=False),
    )
    op.create_table(
        "import_rows",
        sa.Column("import", sa.String(64), primary_key=True),
        sa.Column("generation", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(128), primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    for table in ("import_rows", "imports"):
        op.drop_table(table)
