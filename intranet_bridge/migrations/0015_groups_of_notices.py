"""Subscriptions and the numbers of notices belong to a group of fronts too. Those that are there belong to none, until
their application subscribes again: what is numbered after them goes on from their numbers.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_KEYS = {"notice_subscriptions": ("stream", "application", "kind"), "notice_streams": ("stream", "application")}
_COLUMNS: dict[str, tuple[tuple[str, Any], ...]] = {
    "notice_subscriptions": (
        ("front", sa.String(64)), ("account", sa.LargeBinary), ("consent_version", sa.String(40)),
        ("consent_at", sa.String(40)), ("subscribed_at", sa.BigInteger),
    ),
    "notice_streams": (("last", sa.BigInteger),),
}  # fmt: skip


def upgrade() -> None:
    for table in _KEYS:
        _again(table, grouped=True)
    op.create_index("notice_subscriptions_application", "notice_subscriptions", ["application"])
    with op.batch_alter_table("notices") as notices:
        notices.add_column(sa.Column("fronts", sa.String(64), nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    with op.batch_alter_table("notices") as notices:
        notices.drop_column("fronts")
    for table in _KEYS:
        _again(table, grouped=False)
    op.create_index("notice_subscriptions_application", "notice_subscriptions", ["application"])


def _again(table: str, *, grouped: bool) -> None:
    """Make a table anew, with another key, and with what was in it. Without groups the first of a key stays."""
    key, rest = _KEYS[table], _COLUMNS[table]
    sizes = {"stream": 22, "application": 64, "kind": 32}
    columns = [sa.Column(name, sa.String(sizes[name]), primary_key=True) for name in key]
    if grouped:
        columns.append(sa.Column("fronts", sa.String(64), primary_key=True, server_default=sa.text("''")))
    columns += [sa.Column(name, kind, nullable=False) for name, kind in rest]
    op.rename_table(table, f"{table}_before")
    if table == "notice_subscriptions":
        op.drop_index("notice_subscriptions_application", f"{table}_before")
    if op.get_bind().dialect.name == "postgresql":  # its key's name is taken by the table that was renamed
        op.execute(f"ALTER INDEX {table}_pkey RENAME TO {table}_before_pkey")
    op.create_table(table, *columns)
    names = ", ".join([*key, *(name for name, _ in rest)])
    values = names if grouped else ", ".join([*key, *_of_one(table, [name for name, _ in rest])])
    found = f"SELECT {values} FROM {table}_before"  # noqa: S608 - our own names
    op.execute(f"INSERT INTO {table} ({names}) {found}{'' if grouped else _one_of_each(table, key)}")
    op.drop_table(f"{table}_before")


def _of_one(table: str, names: list[str]) -> list[str]:
    return ["max(last)"] if table == "notice_streams" else names


def _one_of_each(table: str, key: tuple[str, ...]) -> str:
    if table == "notice_streams":
        return f" GROUP BY {', '.join(key)}"
    same = " AND ".join(f"other.{name} = notice_subscriptions_before.{name}" for name in key)
    first = f"SELECT min(other.fronts) FROM notice_subscriptions_before AS other WHERE {same}"  # noqa: S608
    return f" WHERE fronts = ({first})"
