"""SQLite's INSERT OR REPLACE deletes a row of the ledger without asking the triggers that keep it: each refuses it."""

from alembic import op

revision = "0035"
down_revision = "0034"

_NEW = (
    "CREATE TRIGGER account_new BEFORE INSERT ON account BEGIN"
    " SELECT RAISE(ABORT, 'the ledger is never changed: account') WHERE EXISTS"
    "  (SELECT 1 FROM account WHERE id = NEW.id OR name = NEW.name); END",
    "CREATE TRIGGER closed_day_new BEFORE INSERT ON closed_day BEGIN"
    " SELECT RAISE(ABORT, 'the ledger is never changed: closed_day') WHERE EXISTS"
    "  (SELECT 1 FROM closed_day WHERE day = NEW.day); END",
    "CREATE TRIGGER closed_balance_new BEFORE INSERT ON closed_balance BEGIN"
    " SELECT RAISE(ABORT, 'the ledger is never changed: closed_balance') WHERE EXISTS"
    "  (SELECT 1 FROM closed_balance WHERE day = NEW.day AND account = NEW.account); END",
)
_OPEN = (
    "CREATE TRIGGER journal_open BEFORE INSERT ON journal BEGIN"
    " SELECT RAISE(ABORT, 'the ledger is never changed: journal') WHERE EXISTS"
    "  (SELECT 1 FROM journal WHERE id = NEW.id OR event_key = NEW.event_key OR reverses = NEW.reverses);"
    " SELECT RAISE(ABORT, 'the day is closed') WHERE NEW.day <= (SELECT max(day) FROM closed_day); END"
)


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":  # which updates in such a case, and that is refused
        return
    for statement in (*_NEW, "DROP TRIGGER journal_open", _OPEN):
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute("DROP TRIGGER journal_open")
    op.execute(_OPEN.replace(" OR reverses = NEW.reverses", ""))
    for table in ("account", "closed_day", "closed_balance"):
        op.execute(f"DROP TRIGGER {table}_new")
