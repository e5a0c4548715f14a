"""What is published, with its versions and who did what, and the staff of the bridge's desk."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "desk_staff",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary(16), nullable=False),
        sa.Column("verifier", sa.LargeBinary(32), nullable=False),
        sa.Column("second", sa.LargeBinary(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("disabled_at", sa.BigInteger),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.BigInteger, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "content_items",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("number", sa.String(40), nullable=False),
        sa.Column("first_at", sa.BigInteger),
        sa.UniqueConstraint("kind", "number", name="content_items_number"),
    )
    op.create_table(
        "content_versions",
        sa.Column("item", sa.String(36), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("heading", sa.String(200), nullable=False),
        sa.Column("authors", sa.Text, nullable=False),
        sa.Column("reviewer", sa.String(160), nullable=False),
        sa.Column("publish_at", sa.BigInteger),
        sa.Column("withdraw_at", sa.BigInteger),
        sa.Column("changes", sa.Integer, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("published_at", sa.BigInteger),
        sa.Column("withdrawn_at", sa.BigInteger),
    )
    op.create_index("content_versions_stage", "content_versions", ["stage", "changed_at"])
    op.create_table(
        "content_acts",
        sa.Column("item", sa.String(36), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("who", sa.String(160), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("remark", sa.String(400), nullable=False),
    )
    edition = op.create_table(
        "content_edition",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(edition, [{"only": 1, "number": 0}])


def downgrade() -> None:
    for table in ("content_edition", "content_acts", "content_versions", "content_items", "desk_staff"):
        op.drop_table(table)
