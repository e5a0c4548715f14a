"""Lines of withholding are counted by what is open, and by their codes, without reading all there ever were."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    is_open, coded = sa.text("ended_at IS NULL"), sa.text("code <> ''")
    op.create_index(
        "withholding_lines_open", "withholding_lines", ["state"], sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index(
        "withholding_lines_coded", "withholding_lines", ["code"], sqlite_where=coded, postgresql_where=coded
    )


def downgrade() -> None:
    op.drop_index("withholding_lines_coded", "withholding_lines")
    op.drop_index("withholding_lines_open", "withholding_lines")
