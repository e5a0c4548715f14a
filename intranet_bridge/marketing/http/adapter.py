"""HTTP: one operation bound, by configuration, to an interface of the marketing system.

::

    body ─► request expression ─► POST ─► status ─► answer ─► judgement (marketing/judgement.py)

What an answer means (`reached` and the rest: marketing/__init__.py):

===============================  =====================================================================
no connection                    NotApplied, not reached
written, no whole answer         Unknown
a status that says it            status.py
"the session is expired"         asked once more after a log-in (session.py); no log-in: NotApplied, not reached
4xx                              Refused if the refusal expression says so and a code is there, else by status.py
2xx                              by the binding's expressions; what cannot be read, or says no without
                                 a code, is Unknown
===============================  =====================================================================
"""

import time
from collections.abc import Awaitable
from functools import partial
from typing import Any

from intranet_bridge.marketing import Answered, Fault, Finding, MarketingRequest, NotApplied, Outcome, Rejected, Unknown
from intranet_bridge.marketing.expressions.mapping import MappingError, condition, truth
from intranet_bridge.marketing.http.access import Access
from intranet_bridge.marketing.http.answer import AnswerError, decoder
from intranet_bridge.marketing.http.binding import HttpBinding, HttpSystem, formats
from intranet_bridge.marketing.http.client import HttpClient, NotSent
from intranet_bridge.marketing.http.connection import UNREAD, Lost, Response
from intranet_bridge.marketing.http.headers import merged
from intranet_bridge.marketing.http.paging import Pages, PagesError
from intranet_bridge.marketing.http.request import RequestTemplate
from intranet_bridge.marketing.http.session import LoginFailed
from intranet_bridge.marketing.http.status import DENIED, said_by, turned_down
from intranet_bridge.marketing.http.upload import FileRequest, FileTemplate, UploadJudgement, seen
from intranet_bridge.marketing.judgement import InquiryJudgement, Judgement, Trace
from protocol.attachments import MAX_FILES
from protocol.operations.operation import Kind, Operation

_TURNED_AWAY = DENIED | {408, 429}


class HttpAdapter:
    """One operation. Compiled once; a call is: map, write, read, map, validate."""

    def __init__(
        self,
        operation: Operation,
        binding: HttpBinding,
        system: HttpSystem,
        client: HttpClient,
        access: Access,
        trace: Trace | None = None,
    ) -> None:
        """`trace` is told what each expression about an answer gave, for trials."""
        tables = binding.values
        headers = merged(system.headers, binding.headers, access.headers)
        written = formats(binding, system)
        self._operation = operation
        self._harmless = operation.kind is Kind.QUERY
        """It may be sent twice."""
        self._client = client
        self.timeout_s = binding.timeout_s or system.timeout_s
        self.settle_s = self.timeout_s if binding.settle_s is None else binding.settle_s
        self._decode = decoder(written, system.answer_limit).decode
        self._judgement = Judgement(operation, binding, trace)
        self._session, self._expired_status = access.session, access.expired_status
        self._expired = None if access.expired is None else condition(access.expired, {})
        self._ask = self._asked if access.session is None else self._asked_in_session
        self._paging = binding.paging
        self._request = RequestTemplate(
            system.url, binding, written, headers, tables, place=access.place, signer=access.signer
        )  # fmt: skip
        files = binding.attachments
        self._files: FileTemplate | None = None
        if files and operation.attachments:
            self._files = FileTemplate(system.url, files, written, headers, tables, access)
            self._upload_judgement = UploadJudgement(files, binding.refusal, tables)
            self._call_timeout_s, self._file_timeout_s = self.timeout_s, files.timeout_s
            self.timeout_s += MAX_FILES * files.timeout_s
        inquire = binding.inquire
        self._inquiry: RequestTemplate | None = None
        if inquire:
            self._inquiry = RequestTemplate(
                system.url, inquire, written, headers, tables, place=access.place, signer=access.signer
            )  # fmt: skip
            self._inquiry_judgement = InquiryJudgement(
                self._judgement, inquire.found, inquire.not_found, inquire.response, tables, trace
            )
            self.inquiry_timeout_s = inquire.timeout_s or binding.timeout_s or system.timeout_s

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        """Do it. See the table above."""
        try:
            if self._paging is not None:
                return await self._joined(asked, timeout_s, Pages(self._paging))
            values = self._values(asked)
            if self._files is not None:
                handed_over = await self._handed_over(self._files, asked, values)
                if handed_over is not None:
                    return handed_over
                timeout_s = min(timeout_s, self._call_timeout_s)
            response = await self._ask(self._request, asked, values, timeout_s)
        except MappingError as error:
            return Rejected(f"request not mapped: {error}", asked=False)
        except LoginFailed as failed:
            return NotApplied(failed.reason, reached=False, denied=failed.denied)
        except NotSent as error:
            return NotApplied(str(error), reached=False)
        except Lost as lost:
            return Unknown(lost.reason, timed_out=lost.timed_out, fault=_fault(lost))
        return self._outcome(asked, response)

    async def inquire(self, asked: MarketingRequest, timeout_s: float) -> Finding:
        """What became of this request id."""
        if self._inquiry is None:
            return Unknown("no inquiry is configured")
        try:
            response = await self._ask(
                self._inquiry, asked, self._values(asked), min(timeout_s, self.inquiry_timeout_s)
            )  # fmt: skip
            status = response.status
            if status >= 500 or status in _TURNED_AWAY or 300 <= status < 400:
                return Unknown(f"inquiry: HTTP {status}")
            value = self._read(response)
            if isinstance(value, AnswerError):
                raise value
            return self._inquiry_judgement.finding(asked, value, f", HTTP {status}")
        except (AnswerError, MappingError, ValueError) as error:
            return Unknown(f"inquiry: {_safe(error)}", fault=Fault.ANSWER)
        except (NotSent, LoginFailed) as error:
            return Unknown(f"inquiry: {_safe(error)}")
        except Lost as lost:
            return Unknown(f"inquiry: {lost.reason}", fault=_fault(lost))

    async def _handed_over(
        self, template: FileTemplate, asked: MarketingRequest, values: dict[str, Any]
    ) -> Outcome | None:
        """Hand over the files, and have `values` say their references; or what comes of a command whose files it does
        not take. Raises MappingError, LoginFailed, NotSent.
        """
        files: list[dict[str, Any]] = []
        for file in asked.attachments:
            known = seen(file)
            if file.reference is None:
                request = template.of(file, await file.read())
                if not asked.may_send():
                    raise NotSent("no longer allowed to send")
                try:
                    response = await self._ask(request, asked, {**values, "file": known}, self._file_timeout_s)
                except Lost as lost:
                    return NotApplied(f"attachment: {lost.reason}", reached=False)
                reference = self._upload_judgement.reference(response, self._read(response))
                if not isinstance(reference, str):
                    return reference
                await file.remember(reference)
                known["reference"] = reference
            files.append(known)
        values["attachments"] = files
        return None

    def _asked(
        self,
        template: RequestTemplate | FileRequest,
        asked: MarketingRequest,
        values: dict[str, Any],
        timeout_s: float,
        token: str = "",
    ) -> Awaitable[Response]:
        """Ask. Raises MappingError, NotSent, Lost. (No coroutine of its own: it is on a query's way.)"""
        request = template.render(asked, values, token)
        if template is not self._request:
            return self._client.exchange(request, timeout_s)
        again = partial(template.render, asked, values, token) if self._harmless else None  # a nonce is taken once
        return self._client.exchange(request, timeout_s, again=again, may_send=asked.may_send)

    async def _asked_in_session(
        self, template: RequestTemplate | FileRequest, asked: MarketingRequest, values: dict[str, Any], timeout_s: float
    ) -> Response:
        """Ask with the session's token; once more with a fresh one when an answer says that it is expired, for then
        nothing was applied. Raises LoginFailed, and as `_asked`."""
        session, end = self._session, time.monotonic() + timeout_s
        assert session is not None
        for _ in range(2):
            token = await session.token(end - time.monotonic())
            values["session"] = token
            if (left_s := end - time.monotonic()) <= 0:
                raise NotSent("no time is left after the log-in")
            response = await self._asked(template, asked, values, left_s, token)
            if not self._says_expired(response):
                return response
            session.turned_away(token)
        raise LoginFailed("a fresh session is turned away", denied=True)

    async def _joined(self, asked: MarketingRequest, timeout_s: float, pages: Pages) -> Outcome:
        """Ask page after page, each judged by itself, so that every one of them is about what was asked."""
        end, values = time.monotonic() + timeout_s, self._values(asked)
        while True:
            if (left_s := end - time.monotonic()) <= 0:
                return Unknown("timeout between two pages", timed_out=True)
            values["paging"] = pages.asks
            response = await self._ask(self._request, asked, values, left_s)
            outcome = self._outcome(asked, response)
            if not isinstance(outcome, Answered):
                return outcome
            answer = self._read(response)
            try:
                joined = pages.took(answer)
            except (PagesError, MappingError) as error:
                return Unknown(f"answer: {error}", fault=Fault.ANSWER)
            if joined is not None:
                return outcome if joined is answer else self._judgement.outcome(asked, joined)

    def _read(self, response: Response) -> Any:
        """The answer's value, or the AnswerError that says why there is none."""
        if response.value is UNREAD:
            try:
                response.value = self._decode(response)
            except AnswerError as error:
                response.value = error
        return response.value

    def _says_expired(self, response: Response) -> bool:
        if response.status in self._expired_status:
            return True
        if self._expired is None or isinstance(answer := self._read(response), AnswerError):
            return False
        try:
            return truth(self._expired(answer))
        except MappingError:
            return False

    def _values(self, asked: MarketingRequest) -> dict[str, Any]:
        values: dict[str, Any] = self._operation.requests.dump_python(asked.body, mode="json")
        values["request_id"] = asked.request_id
        return values

    def _outcome(self, asked: MarketingRequest, response: Response) -> Outcome:
        command = not self._harmless
        said = said_by(response.status, command=command)
        if said is not None:
            return said
        no = turned_down(response.status, command=command)
        answer = self._read(response)
        if isinstance(answer, AnswerError):
            return no or Unknown(str(answer), fault=Fault.ANSWER)
        return self._judgement.outcome(asked, answer, no)


def _fault(lost: Lost) -> Fault:
    return Fault.ANSWER if lost.unusable else Fault.INTERFACE


def _safe(error: Exception) -> str:
    """What may be logged of an error: where the answer is wrong, never its text."""
    known = AnswerError | MappingError | NotSent | LoginFailed
    return str(error) if isinstance(error, known) else type(error).__name__
