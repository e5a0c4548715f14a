"""A database as the configuration describes it, and an operation bound to statements on it."""

from importlib.util import find_spec
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from intranet_bridge.marketing.binding import Expression, OperationBinding, Seconds, SystemSection, TlsSection
from intranet_bridge.marketing.sql.statement import Inserting, Reading
from protocol.runtime.settings import FilePath, Misplaced, Section, all_or_none, one_of

DRIVERS = {
    "postgresql+psycopg": ("psycopg", "pip install 'dmz-bridge[postgres]'"),
    "mysql+pymysql": ("pymysql", "pip install 'dmz-bridge[mysql]'"),
    "mariadb+pymysql": ("pymysql", "pip install 'dmz-bridge[mysql]'"),
    "oracle+oracledb": ("oracledb", "pip install oracledb"),
    "dm+dmPython": ("dmPython", "pip install dmPython dmSQLAlchemy (DM's own; they come with its server too)"),
}
"""What a URL may begin with → the module of its driver, and how to get it."""
_SECRET = ("password", "passwd", "pwd", "sslpassword", "secret", "token")


def _url(value: str) -> str:
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError("is no database URL, as postgresql+psycopg://user@host/database") from None
    if url.get_backend_name() == "sqlite":
        raise ValueError("an SQLite database is given by `file`, not by `url`")
    driver = DRIVERS.get(url.drivername)
    if driver is None:
        raise ValueError(f"begins with one of {', '.join(f'{name}://' for name in DRIVERS)}")
    if url.password is not None or any(name.lower() in _SECRET for name in url.query):
        raise ValueError("a password does not belong in the url: it has a file of its own (`password_file`)")
    if url.port is not None and not 0 < url.port < 65536:
        raise ValueError("the port is 1 to 65535")
    if find_spec(driver[0]) is None:
        raise ValueError(f"its driver {driver[0]} is not installed here: {driver[1]}")
    return value


class SqlSystem(SystemSection):
    """A database."""

    url: Annotated[str, AfterValidator(_url)] | None = None
    """An SQLAlchemy URL without a password."""
    file: FilePath | None = None
    """Or an SQLite file. It must be there already."""
    password_file: FilePath | None = None
    """holds the password"""
    connections: Annotated[int, Field(ge=1, le=256)] = 8
    """At most, each with a thread; kept open between statements."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 3.0
    """of a connection's making"""
    recycle_s: Seconds = 1800.0
    """A kept connection is not used again when it is older."""
    row_limit: Annotated[int, Field(ge=1, le=100_000)] = 5_000
    """An answer of more rows cannot be read."""
    tls: TlsSection | None = None
    """To PostgreSQL, MySQL or MariaDB; with this table it is demanded."""

    @property
    def address(self) -> URL:
        """Where it is, without the password."""
        return make_url(self.url) if self.url is not None else URL.create("sqlite", database=str(self.file))

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        one_of(self, "url", "file")
        for name in ("password_file", "tls"):
            if self.file is not None and getattr(self, name) is not None:
                raise Misplaced("an SQLite file has neither a password nor TLS", (name,))
        if self.tls is not None and not self.address.drivername.startswith(("postgresql", "mysql", "mariadb")):
            raise Misplaced("is for PostgreSQL, MySQL and MariaDB: other drivers have parameters of the url", ("tls",))
        return self


AnswerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
Statements = Annotated[dict[AnswerName, Reading], Field(min_length=1, max_length=16)]


class InquireSection(Section):
    """How to ask what became of a request id."""

    statement: Reading | None = None
    """SQL with `:name` for each of `parameters`"""
    statements: Statements | None = None
    """Default, of both: `poll`, whose answer may then also be a refusal."""
    found: Expression | None = None
    """True: it was done. Default: `done`."""
    not_found: Expression
    """True: there is no such request, surely. Neither: the inquiry is repeated."""
    response: Expression | None = None
    """Default: the operation's own."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.statement is not None and self.statements is not None:
            raise Misplaced("needs either statement or statements: not both", ("statements",))
        return self

    @property
    def reading(self) -> dict[str, str]:
        """Its own statements, by the name that their rows have in the answer."""
        return self.statements or ({} if self.statement is None else {"rows": self.statement})


class SqlBinding(OperationBinding):
    """One operation at a database.

    A query: `statement` or `statements`. A command: `insert` hands the request over, `poll` is repeated until `done`.
    Expressions about an answer see ``{rows: [...]}``, or a list of rows under each name of `statements`.
    """

    parameters: Expression = "{request_id: request_id}"
    """Gives the values of the statements' `:names`, from the request's fields and `request_id`."""
    statement: Reading | None = None
    """SQL with `:name` for each of `parameters`"""
    statements: Statements | None = None
    """Read in one transaction."""
    insert: Inserting | None = None
    """Its table has the request id as a unique key: a duplicate means that it was handed over before."""
    poll: Reading | None = None
    """the statement that looks for what became of a command"""
    done: Expression | None = None
    """expression: true of the row of a command that is finished"""
    poll_s: Annotated[float, Field(ge=0.01, le=60)] = 0.5
    """Between two polls, at most; the first come sooner."""
    json_columns: tuple[AnswerName, ...] = ()
    """Columns whose text is JSON, to be read as what it says."""
    inquire: InquireSection | None = None

    @property
    def inquires(self) -> bool:
        """Whether it says how to ask what became of a request id."""
        return self.inquire is not None

    @property
    def reading(self) -> dict[str, str]:
        """The statements of a query, by the name that their rows have in the answer."""
        return self.statements or ({} if self.statement is None else {"rows": self.statement})

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.statement is not None and self.statements is not None:
            raise Misplaced("needs either statement or statements: not both", ("statements",))
        if self.insert is not None and self.reading:
            message = "a query has statement or statements, a command insert, poll and done: not both"
            raise Misplaced(message, ("insert",))
        all_or_none(self, "insert", "poll", "done")
        if self.insert is None and not self.reading:
            raise Misplaced("needs statement or statements (a query), or insert, poll and done (a command)", ())
        if self.inquire is not None and self.insert is None:
            raise Misplaced("only a command is inquired about", ("inquire",))
        return self
