"""Public keys and certificates of applications, and which of them an application must show.

A front of the release before goes by none of them: an application that needs a signature is let in there by its key.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "application_credentials",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("id", sa.String(96), primary_key=True),
        sa.Column("application", sa.String(64), nullable=False),
        sa.Column("public", sa.Text, nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
    )
    with op.batch_alter_table("applications") as table:
        table.add_column(sa.Column("requires", sa.String(64), nullable=False, server_default="[]"))


def downgrade() -> None:
    with op.batch_alter_table("applications") as table:
        table.drop_column("requires")
    op.drop_table("application_credentials")
