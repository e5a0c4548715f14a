"""An application's key of before, valid beside the new one for a while.

A front of the release before does not take it: rotate keys when all fronts are of this one. Going back ends it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    with op.batch_alter_table("applications") as table:
        table.add_column(sa.Column("former_hash", sa.LargeBinary(32), nullable=True))
        table.add_column(sa.Column("former_until", sa.BigInteger, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("applications") as table:
        table.drop_column("former_until")
        table.drop_column("former_hash")
