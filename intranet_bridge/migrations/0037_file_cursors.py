"""A cursor for each profile of files. Statements of kinds that were configured go on where they were; answers of banks
are all on record, so that theirs begin anew. The former cursors stay for a program of the release before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    cursors = op.create_table(
        "file_cursors",
        sa.Column("reader", sa.String(16), primary_key=True),
        sa.Column("profile", sa.String(64), primary_key=True),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.Column("file", sa.String(64), nullable=False),
        sa.Column("judged_by", sa.String(64), nullable=False),
    )
    connection = op.get_bind()
    to = connection.execute(sa.text("SELECT accepted_at, file FROM statement_cursor")).first()
    if to is None:
        return
    expected = connection.execute(sa.text("SELECT name FROM statement_sources")).scalars().all()
    read = connection.execute(sa.text("SELECT DISTINCT source FROM statement_arrivals")).scalars().all()
    profiles = {name.partition(":")[0] for name in expected} | set(read)
    rows = [
        {"reader": "statements", "profile": name, "accepted_at": to.accepted_at, "file": to.file, "judged_by": ""}
        for name in sorted(profiles)
    ]
    if rows:
        op.bulk_insert(cursors, rows)


def downgrade() -> None:
    op.drop_table("file_cursors")
