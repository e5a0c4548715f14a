"""Sandbox applications. Those of yesterday are real.

A front of the release before would take a sandbox key for a real one: give them out when all fronts are of this one.
Going back revokes them for that reason.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    with op.batch_alter_table("applications") as table:
        table.add_column(sa.Column("sandbox", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    applications = sa.table(
        "applications", sa.column("sandbox", sa.Boolean), sa.column("revoked_at"), sa.column("created_at")
    )
    active = applications.c.revoked_at.is_(None)
    op.execute(applications.update().where(applications.c.sandbox, active).values(revoked_at=applications.c.created_at))
    with op.batch_alter_table("applications") as table:
        table.drop_column("sandbox")
