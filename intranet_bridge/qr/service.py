"""Customers' QR codes, as the bridge answers for them: to fronts (catalogue, protocol/operations/qr.py), and to
administrators of its host (`bridgectl qr`).

What is no code of ours, or of no account on record, or revoked, is refused in one and the same way and takes the same
time: who tries codes learns nothing.
"""

import base64
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from intranet_bridge.marketing import Answered, Fault, MarketingRequest, NotApplied, Refused, Unknown
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.own import Handler
from intranet_bridge.qr import codes
from intranet_bridge.qr.batches import Batches, Making, Standing
from intranet_bridge.qr.drawing import Drawing
from intranet_bridge.qr.records import Records
from intranet_bridge.qr.verdicts import Doubt, Form, Verdict
from intranet_bridge.settings import QrSection
from protocol.errors import BridgeError, ConfigurationError
from protocol.messages import uuid7
from protocol.operations import CATALOGUE
from protocol.operations import qr as catalogue
from protocol.qr import KEY_BYTES, MOST_SHEET_BYTES, QrKey, QrKeys, parsed_keys
from protocol.runtime.audit import Act, logged
from protocol.runtime.clock import Clock
from protocol.runtime.control import Answer, Peer
from protocol.runtime.jobs import Jobs
from protocol.runtime.keyfiles import read_private
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.store import Store
from protocol.suites import Suite
from protocol.times import CHINA

log = logger(__name__)

_DAY_MS = 86_400_000
_NO_KEY = bytes(KEY_BYTES)
_CLOSED = {"no-such-account": Verdict.NO_SUCH_ACCOUNT, "account-closed": Verdict.ACCOUNT_CLOSED}
_NOT_OFFERED = Refused(catalogue.NOT_OFFERED.code)
_NO_BATCH = Refused(catalogue.NO_SUCH_BATCH.code)
_WORD = "bridgectl"
"""The application of what administrators of this host have made."""


class Offer:
    """What codes are issued and resolved by: the settings and the keys, as they were read."""

    def __init__(self, section: QrSection, suite: Suite = Suite.AES) -> None:
        """Reads the keys. `suite`: the bridge's. Raises ConfigurationError naming their file."""
        self.section = section
        try:
            if not section.keys.exists():
                raise ConfigurationError(f"is not there (bridgectl qr keys --add 1 --file {section.keys} makes it)")
            self.keys: QrKeys = parsed_keys(read_private(section.keys).decode("ascii"))
        except UnicodeDecodeError:
            raise ConfigurationError("is not a file of QR keys", file=str(section.keys)) from None
        except ConfigurationError as error:
            raise ConfigurationError(str(error), file=str(section.keys)) if error.file is None else error from None
        signing = self.keys.signing()
        if signing is None:
            raise ConfigurationError("has no active key: bridgectl qr keys --add KID", file=str(section.keys))
        if signing.suite is not suite:
            raise ConfigurationError(
                f"new codes are signed by {signing.kid}, of suite {signing.suite}, and the bridge's is {suite}: "
                f"bridgectl qr keys --add KID --suite {suite}; codes of the other stay good",
                file=str(section.keys),
            )
        self.signing = signing
        self.form = Form(section.form, section.account_digits)

    def url(self, account: str, generation: int) -> str:
        """What stands in the code of an account."""
        return self.section.base + codes.code(self.signing, self.section.utility, account, generation).text


def offer_of(section: QrSection | None, suite: Suite) -> Offer | None:
    """What the settings say, with its keys. Raises ConfigurationError."""
    return Offer(section, suite) if section else None


class Qr:
    """All about QR codes at the bridge."""

    def __init__(
        self,
        offer: Offer | None,
        *,
        store: Store,
        calls: Callable[[], MarketingCalls],
        allowed: Callable[[], bool],
        name: str,
        clock: Clock,
        act: Act = logged,
    ) -> None:
        """`offer` None: no codes are offered. `allowed`: whether this bridge's lease holds."""
        self._offer = offer
        self._calls, self._clock, self._act = calls, clock, act
        self._records = Records(store, clock)
        pixels, dpi = (offer.section.pixels_per_module, offer.section.dpi) if offer else (10, 300)
        self._single, self._many = (Drawing(pixels_per_module=pixels, dpi=dpi) for _ in range(2))
        self._batches = Batches(
            store=store, name=name, making=self._making, drawing=lambda: self._many, allowed=allowed, clock=clock
        )
        self._sheet = bytearray()
        self._jobs = Jobs()
        self.counts: Counter[tuple[str, str]] = Counter()
        """Issued, resolved, revoked and redeemed, by outcome."""

    def use(self, offer: Offer | None) -> None:
        """Go by these settings and keys from now on."""
        self._offer = offer
        if offer:
            for drawing in (self._single, self._many):
                drawing.pixels, drawing.dpi = offer.section.pixels_per_module, offer.section.dpi

    async def start(self) -> None:
        """Work on batches, and forget what is over."""
        self._batches.start()
        self._jobs.every(600.0, "qr", self.forget)
        self._jobs.start()

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return self._jobs.standing()

    async def close(self) -> None:
        """Stop."""
        await self._jobs.close()
        await self._batches.close()
        await self._single.close()

    async def forget(self) -> None:
        """Tickets and batches that are over."""
        if self._offer is None:
            return
        section = self._offer.section
        await self._records.forget_tickets(section.ticket_s * 1000)
        if gone := await self._batches.forget(int(section.keep_days * _DAY_MS)):
            log.info("qr-batches-forgotten", count=gone)

    def handlers(self) -> dict[str, Handler]:
        """Who answers what of the catalogue."""
        return {
            "qr-issue": self._offered(self._issue),
            "qr-revoke": self._offered(self._revoke),
            "qr-lookup": self._offered(self._lookup),
            "qr-batch": self._offered(self._batch),
            "qr-batch-state": self._offered(self._batch_state),
            "qr-batch-part": self._offered(self._batch_part),
            "qr-resolve": self._offered(self._resolve),
            "qr-ticket": self._offered(self._ticket),
        }

    def _offered(self, handle: Callable[[Offer, MarketingRequest], Awaitable[BaseModel | Refused]]) -> Handler:
        async def handled(asked: MarketingRequest) -> BaseModel | Refused:
            return await handle(self._offer, asked) if self._offer else _NOT_OFFERED

        return handled

    # --- issuing -------------------------------------------------------------------------------------------

    async def _issue(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        body: catalogue.QrIssue = asked.body
        return await self.issue(offer, asked.request_id, body.account, _who(asked, body.by), image=body.image)

    async def issue(
        self, offer: Offer, request: str, account: str, who: str, *, image: bool
    ) -> catalogue.QrIssued | Refused:
        """The code of an account, which is on record then."""
        if not offer.form.pattern.fullmatch(account):
            return Refused("invalid-field", "account: no account number of this company")
        if offer.section.check_accounts:
            verdict = await self._exists(offer, account)
            if verdict is not Verdict.OK:
                self.counts["issued", "refused"] += 1
                return Refused(catalogue.NOT_CHECKED.code if isinstance(verdict, Doubt) else verdict)
        made = await self._records.issue(request, account, offer.signing.kid, who)
        key = offer.keys.verifying(made.kid)
        if key is None:  # it was retired between two calls of one request
            return Refused(catalogue.NO_SUCH_CODE.code)
        code = codes.code(key, offer.section.utility, account, made.generation)
        url = offer.section.base + code.text
        png = None
        if image:
            (drawn,) = await self._single.images([url])
            png = base64.b64encode(drawn).decode()
        self.counts["issued", "ok"] += 1
        return catalogue.QrIssued(
            account=account, url=url, host=offer.section.host, kid=made.kid, generation=made.generation,
            issued_at=_time(made.at), png=png,
        )  # fmt: skip

    async def _exists(self, offer: Offer, account: str) -> Verdict | Doubt:
        """What the marketing system says of an account."""
        operation, calls = offer.section.check_accounts, self._calls()
        if not calls.admit(operation):
            return Doubt.LATER
        try:
            body = CATALOGUE[operation].requests.validate_python({"account": account})
            outcome = await calls.call(operation, MarketingRequest(self._id(), body))
        finally:
            calls.release(operation)
        match outcome:
            case Answered():
                return Verdict.OK
            case Refused(code):
                return _CLOSED.get(code, Doubt.ANSWER)
            case NotApplied():
                return Doubt.INTERFACE if outcome.reached else Doubt.LATER
            case Unknown():
                return Doubt.INTERFACE if outcome.fault is Fault.INTERFACE else Doubt.ANSWER
            case _:
                return Doubt.ANSWER

    def _id(self) -> str:
        return uuid7(self._clock(), os.urandom(10))

    async def _revoke(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        body: catalogue.QrRevoke = asked.body
        return await self.revoke(offer, asked.request_id, body.account, now=body.now)

    async def revoke(self, offer: Offer, request: str, account: str, *, now: bool) -> catalogue.QrRevoked | Refused:
        """Begin a new generation of an account's codes."""
        until = self._clock() + (0 if now else int(offer.section.old_good_days * _DAY_MS))
        found = await self._records.revoke(request, account, until)
        if found is None:
            return Refused(catalogue.NO_SUCH_CODE.code)
        self.counts["revoked", "now" if now else "later"] += 1
        generation, good_until = found
        return catalogue.QrRevoked(account=account, generation=generation.generation, good_until=_time(good_until))

    async def _lookup(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        return await self.lookup(offer, asked.body.account)

    async def lookup(self, offer: Offer, account: str) -> catalogue.QrRecord:
        """What was issued for an account."""
        generations, issues = await self._records.generations(account), await self._records.issues(account)
        now = self._clock()
        good = {one.generation for one in generations if one.good(now)}
        return catalogue.QrRecord(
            account=account,
            generation=max((one.generation for one in generations), default=0),
            codes=tuple(
                catalogue.QrCodeIssued(
                    kid=one.kid,
                    generation=one.generation,
                    issued_at=_time(one.at),
                    by=one.who,
                    batch=one.batch,
                    good=one.generation in good and offer.keys.verifying(one.kid) is not None,
                )
                for one in issues
            ),
        )

    # --- scanning ------------------------------------------------------------------------------------------

    async def _resolve(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        code = codes.parsed(asked.body.code)
        assert code is not None, "the schema has looked at its form"
        key = offer.keys.verifying(code.kid)
        known = await self._records.generations(code.account)
        now = self._clock()
        good = [one.generation for one in known if one.good(now)]
        genuine = codes.genuine(code, key or QrKey(code.kid, _NO_KEY), offer.section.utility, good or [0])
        if key is None or not good or genuine is None:
            self.counts["resolved", "refused"] += 1
            return Refused(catalogue.NO_SUCH_CODE.code)
        section = offer.section
        ticket = await self._records.ticket(code.account, section.page, section.ticket_s * 1000)
        self.counts["resolved", "ok"] += 1
        return catalogue.QrResolved(page=section.page, location=section.pages[section.page], ticket=ticket)

    async def _ticket(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        found = await self._records.redeem(asked.request_id, asked.body.ticket)
        self.counts["redeemed", "ok" if found else "refused"] += 1
        if found is None:
            return Refused(catalogue.NO_SUCH_TICKET.code)
        return catalogue.QrAccount(account=found.account, masked=masked(found.account), page=found.page)

    # --- batches -------------------------------------------------------------------------------------------

    def _making(self) -> Making | None:
        offer = self._offer
        if offer is None:
            return None

        async def check(account: str) -> Verdict | Doubt:
            return await self._exists(offer, account)

        checks = check if offer.section.check_accounts else None
        return Making(offer.form, offer.signing.kid, offer.url, checks)

    async def _batch(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        (file,) = asked.attachments
        who = _who(asked, asked.body.by)
        if not await self._batches.create(asked.request_id, asked.application, who, await file.read()):
            return Refused(catalogue.TOO_MANY_BATCHES.code)
        return catalogue.QrBatchStarted(batch=asked.request_id)

    async def _batch_state(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        found = await self._batches.standing(asked.body.batch)
        return state(found) if found and found.batch.application == asked.application else _NO_BATCH

    async def _batch_part(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        found = await self._batches.find(asked.body.batch)
        if found is None or found.application != asked.application:
            return _NO_BATCH
        data = await self._batches.part(found.id, asked.body.part)
        if data is None:
            return _NO_BATCH
        return catalogue.QrBatchPart(batch=found.id, part=asked.body.part, data=base64.b64encode(data).decode())

    # --- administrators of this host -----------------------------------------------------------------------

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked over the control socket."""
        return {
            "qr-issue": self._told_issue, "qr-revoke": self._told_revoke, "qr-lookup": self._told_lookup,
            "qr-sheet": self._told_sheet, "qr-batch": self._told_batch, "qr-batch-state": self._told_state,
            "qr-batch-part": self._told_part,
        }  # fmt: skip

    def _offer_of(self) -> Offer:
        if self._offer is None:
            raise BridgeError("no QR codes are offered: the bridge's configuration has no [qr]")
        return self._offer

    async def _told_issue(self, request: Mapping[str, Any], peer: Peer) -> Any:
        offer, account = self._offer_of(), _account(request)
        who = f"{_WORD}:{peer.behind(str(request.get('sudo_user', '')))}"
        made = await self.issue(offer, self._id(), account, who, image=True)
        await self._act("qr-issue", peer.behind(str(request.get("sudo_user", ""))))
        return _told(made)

    async def _told_revoke(self, request: Mapping[str, Any], peer: Peer) -> Any:
        offer, account = self._offer_of(), _account(request)
        found = await self.revoke(offer, self._id(), account, now=bool(request.get("now")))
        await self._act("qr-revoke", peer.behind(str(request.get("sudo_user", ""))), now=bool(request.get("now")))
        return _told(found)

    async def _told_lookup(self, request: Mapping[str, Any], peer: Peer) -> Any:
        return _told(await self.lookup(self._offer_of(), _account(request)))

    async def _told_sheet(self, request: Mapping[str, Any], peer: Peer) -> Any:
        """A part of a sheet, in order; the first one begins anew."""
        self._offer_of()
        try:
            data, offset = base64.b64decode(request["data"], validate=True), int(request["offset"])
        except (KeyError, ValueError, TypeError):
            raise BridgeError("data and offset say what part of the sheet this is") from None
        if offset == 0:
            self._sheet.clear()
        if offset != len(self._sheet) or len(self._sheet) + len(data) > MOST_SHEET_BYTES:
            raise BridgeError("another sheet came in between, or it has more than 10 MB")
        self._sheet += data
        return {"offset": len(self._sheet)}

    async def _told_batch(self, request: Mapping[str, Any], peer: Peer) -> Any:
        self._offer_of()
        sheet, id = bytes(self._sheet), self._id()
        self._sheet.clear()
        by = peer.behind(str(request.get("sudo_user", "")))
        if not sheet or not await self._batches.create(id, _WORD, f"{_WORD}:{by}", sheet):
            raise BridgeError("too many sheets are waiting" if sheet else "no sheet has come")
        await self._act("qr-batch", by, batch=id)
        return {"batch": id}

    async def _told_state(self, request: Mapping[str, Any], peer: Peer) -> Any:
        found = await self._batches.standing(str(request.get("batch", "")))
        return _told(state(found) if found else _NO_BATCH)

    async def _told_part(self, request: Mapping[str, Any], peer: Peer) -> Any:
        data = await self._batches.part(str(request.get("batch", "")), int(request.get("part", 0)))
        if data is None:
            raise BridgeError("there is no such part")
        return {"data": base64.b64encode(data).decode()}

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for (what, outcome), count in list(self.counts.items()):
            labels = {"what": what, "outcome": outcome}
            yield "intranet_bridge_qr_codes_total", "QR codes issued, resolved, revoked, redeemed", labels, count
        for verdict, count in list(self._batches.made.items()):
            yield "intranet_bridge_qr_rows_total", "Rows of uploaded sheets", {"verdict": verdict}, count


def state(found: Standing) -> catalogue.QrBatchState:
    """How far a batch is, as callers are told."""
    batch = found.batch
    return catalogue.QrBatchState(
        batch=batch.id, state=batch.state, refused=batch.refused, rows=found.rows, done=found.done,
        verdicts=tuple(catalogue.VerdictCount(verdict=name, rows=count) for name, count in found.verdicts),
        parts=batch.parts, length=batch.length, sha256=batch.sha256,
    )  # fmt: skip


def masked(account: str) -> str:
    """An account number as it is shown to who has not bound it: both ends, never more than half of it."""
    end = min(4, len(account) // 4)
    return account[:end] + "*" * (len(account) - 2 * end) + account[len(account) - end :]


def _who(asked: MarketingRequest, by: str | None) -> str:
    return f"{asked.application}:{by}" if by else asked.application


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, CHINA).isoformat()


def _told(answer: BaseModel | Refused) -> Any:
    if isinstance(answer, Refused):
        raise BridgeError(f"{answer.code}{': ' if answer.detail else ''}{answer.detail}")
    return answer.model_dump(mode="json")


def _account(request: Mapping[str, Any]) -> str:
    try:
        return catalogue.QrLookup.model_validate({"account": request.get("account")}).account
    except ValueError:
        raise BridgeError("account: 4 to 20 of the characters 0-9, A-Z, a-z and -") from None
