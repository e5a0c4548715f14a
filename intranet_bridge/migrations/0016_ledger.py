"""The ledger of money: accounts, journals, entries, closed days; and the triggers that keep them as written."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TABLES = ("account", "journal", "entry", "closed_day", "closed_balance")

SQLITE = [
    f"CREATE TRIGGER {table}_{name} BEFORE {act} ON {table} BEGIN"
    f" SELECT RAISE(ABORT, 'the ledger is never changed: {table}'); END"
    for table in TABLES
    for act, name in (("UPDATE", "fixed"), ("DELETE", "kept"))
] + [
    # also INSERT OR REPLACE, which deletes without asking the trigger above
    "CREATE TRIGGER journal_open BEFORE INSERT ON journal BEGIN"
    " SELECT RAISE(ABORT, 'the ledger is never changed: journal') WHERE EXISTS"
    "  (SELECT 1 FROM journal WHERE id = NEW.id OR event_key = NEW.event_key);"
    " SELECT RAISE(ABORT, 'the day is closed') WHERE NEW.day <= (SELECT max(day) FROM closed_day); END",
    "CREATE TRIGGER entry_whole BEFORE INSERT ON entry BEGIN"
    " SELECT RAISE(ABORT, 'not the next entry of its journal')"
    "  WHERE NEW.number <> 1 + (SELECT coalesce(max(number), 0) FROM entry WHERE journal = NEW.journal)"
    "  OR NEW.number > (SELECT entries FROM journal WHERE id = NEW.journal);"
    " SELECT RAISE(ABORT, 'the journal does not sum to 0')"
    "  WHERE NEW.number = (SELECT entries FROM journal WHERE id = NEW.journal)"
    "  AND NEW.amount + (SELECT coalesce(sum(amount), 0) FROM entry WHERE journal = NEW.journal) <> 0; END",
]

POSTGRESQL = [
    "CREATE FUNCTION ledger_fixed() RETURNS trigger LANGUAGE plpgsql AS $$"
    " BEGIN RAISE EXCEPTION 'the ledger is never changed: %', TG_TABLE_NAME; END $$",
    # a day is not closed while a journal of it is being written, nor the other way round
    "CREATE FUNCTION ledger_journal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " LOCK TABLE closed_day IN SHARE MODE;"
    " IF NEW.day <= (SELECT max(day) FROM closed_day) THEN RAISE EXCEPTION 'the day is closed'; END IF;"
    " RETURN NEW; END $$",
    "CREATE FUNCTION ledger_entry() RETURNS trigger LANGUAGE plpgsql AS $$"
    " DECLARE said integer; last integer; total numeric; BEGIN"
    " SELECT entries INTO said FROM journal WHERE id = NEW.journal;"
    " SELECT coalesce(max(number), 0), coalesce(sum(amount), 0) INTO last, total FROM entry"
    "  WHERE journal = NEW.journal;"
    " IF NEW.number <> last + 1 OR NEW.number > said THEN"
    "  RAISE EXCEPTION 'not the next entry of its journal'; END IF;"
    " IF NEW.number = said AND NEW.amount + total <> 0 THEN"
    "  RAISE EXCEPTION 'the journal does not sum to 0'; END IF;"
    " RETURN NEW; END $$",
    *(
        f"CREATE TRIGGER {table}_fixed BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION ledger_fixed()"
        for table in TABLES
    ),
    *(
        f"CREATE TRIGGER {table}_kept BEFORE DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION ledger_fixed()"
        for table in TABLES
    ),
    "CREATE TRIGGER journal_open BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION ledger_journal()",
    "CREATE TRIGGER entry_whole BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION ledger_entry()",
]


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    whole = sa.ForeignKeyConstraint(
        ["id", "entries"], ["entry.journal", "entry.number"], name="journal_whole", deferrable=True,
        initially="DEFERRED",
    )  # fmt: skip
    op.create_table(
        "account",
        sa.Column("id", ID, primary_key=True),
        sa.Column("name", sa.String(128), nullable=False, unique=True),
    )
    op.create_table(
        "journal",
        sa.Column("id", ID, primary_key=True),
        sa.Column("event_key", sa.String(200), nullable=False, unique=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("ref", sa.String(128), nullable=False),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("reverses", ID, sa.ForeignKey("journal.id", name="journal_reverses")),
        sa.Column("booked_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("reverses", name="journal_reversed_once"),
        sa.CheckConstraint("entries >= 2", name="journal_of_two"),
        *([whole] if sqlite else []),
    )
    op.create_index("journal_day", "journal", ["day", "id"])
    op.create_index("journal_ref", "journal", ["ref"])
    op.create_table(
        "entry",
        sa.Column(
            "journal", ID, sa.ForeignKey("journal.id", name="entry_journal"), primary_key=True, autoincrement=False
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("account", ID, sa.ForeignKey("account.id", name="entry_account"), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.CheckConstraint("amount <> 0", name="entry_of_money"),
    )
    op.create_index("entry_by_account", "entry", ["account", "journal"])
    if not sqlite:  # which has no way to add one later, and needs none: it looks for the table when it is used
        op.create_foreign_key(
            "journal_whole", "journal", "entry", ["id", "entries"], ["journal", "number"], deferrable=True,
            initially="DEFERRED",
        )  # fmt: skip
    op.create_table(
        "closed_day",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("journals", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("closed_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "closed_balance",
        sa.Column("day", sa.Date, sa.ForeignKey("closed_day.day", name="closed_balance_day"), primary_key=True),
        sa.Column("account", ID, sa.ForeignKey("account.id", name="closed_balance_account"), primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.CheckConstraint("amount <> 0", name="closed_balance_of_money"),
    )
    for statement in SQLITE if sqlite else POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    database = op.get_bind()
    if database.execute(sa.text("SELECT 1 FROM journal LIMIT 1")).first():
        raise sa.exc.InvalidRequestError(
            "the ledger has journals, which an older program would lose (nothing was changed)"
        )
    if database.dialect.name != "sqlite":
        op.drop_constraint("journal_whole", "journal")
    for table in ("closed_balance", "closed_day", "entry", "journal", "account"):
        op.drop_table(table)
    if database.dialect.name != "sqlite":
        for function in ("ledger_entry", "ledger_journal", "ledger_fixed"):
            op.execute(f"DROP FUNCTION {function}()")
