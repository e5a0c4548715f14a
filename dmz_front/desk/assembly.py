"""The desk, put together: its pages, and who may log in."""

import time

from dmz_front.admission.accounts import AccountForms
from dmz_front.attachments.uploads import Uploads
from dmz_front.commands.submission import Commands
from dmz_front.desk.pages import Codes
from dmz_front.desk.work import Work
from dmz_front.queries.round_trip import Queries
from dmz_front.settings import DeskSection
from protocol.desk.login import LogIn
from protocol.desk.pages import Desk
from protocol.desk.sessions import Sessions
from protocol.runtime.audit import Act
from protocol.runtime.clock import Clock
from protocol.runtime.store import Store


def assembled(
    section: DeskSection,
    *,
    queries: Queries,
    commands: Commands,
    uploads: Uploads,
    accounts: AccountForms,
    store: Store,
    clock: Clock,
    act: Act,
) -> Desk:
    """Opens nothing."""
    work = Work(queries=queries, commands=commands, uploads=uploads, accounts=accounts, clock=clock)
    return Desk(
        section, Codes(work).furniture(), sessions=Sessions(section, time.monotonic), log_in=LogIn(store, clock),
        act=act,
    )  # fmt: skip
