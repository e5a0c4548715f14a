"""HTTP: one operation bound, by configuration, to an interface of the marketing system.

::

    body ─► request expression ─► POST ─► status ─► not_applied? ─► failure? ─► refusal? ─► response expression
                                                                                         ─► catalogue schema

What an answer means (`reached` and the rest: marketing/__init__.py):

===============================  =====================================================================
no connection                    NotApplied, not reached
written, no whole answer         Unknown
5xx, 408                         Unknown: a gateway says 502 or 504 after the system behind it has acted
429                              NotApplied, reached
401, 403, 407, 3xx               NotApplied, not reached: our credentials or address are wrong, not the request
other 4xx                        Refused if the refusal expression says so and a code is there, else Rejected
2xx                              by the binding's expressions; what cannot be read, or says no without
                                 a code, is Unknown
===============================  =====================================================================
"""

from collections.abc import Callable
from typing import Any

from intranet_bridge.marketing import (
    Absent,
    Answered,
    Fault,
    Finding,
    MarketingRequest,
    NotApplied,
    Outcome,
    Refused,
    Rejected,
    Unknown,
)
from intranet_bridge.marketing.answer import AnswerDecoder, AnswerError
from intranet_bridge.marketing.binding import Binding, MarketingSection, RefusalSection
from intranet_bridge.marketing.headers import merged
from intranet_bridge.marketing.http_client import HttpClient, NotSent
from intranet_bridge.marketing.http_connection import Lost, Response
from intranet_bridge.marketing.mapping import Mapped, MappingError, Tables, compiled, condition, optional, truth
from intranet_bridge.marketing.request import RequestTemplate
from intranet_bridge.marketing.result import validated
from protocol.operations import AnswerMismatch
from protocol.operations.operation import Kind, Operation

Trace = Callable[[str, Any], None]
"""Told the name of an expression's setting, and what it gave or its MappingError."""
_DENIED = frozenset({401, 403, 407})
_TURNED_AWAY = _DENIED | {408, 429}


class HttpAdapter:
    """One operation. Compiled once; a call is: map, write, read, map, validate."""

    def __init__(
        self,
        operation: Operation,
        binding: Binding,
        marketing: MarketingSection,
        client: HttpClient,
        secret: str = "",
        trace: Trace | None = None,
    ) -> None:
        """`trace` is told what each expression about an answer gave, for trials."""
        tables = binding.values
        login = marketing.authentication
        headers = merged(marketing.headers, binding.headers, {login.header: login.prefix + secret} if login else {})
        self._operation = operation
        self._client = client
        self.timeout_s = binding.timeout_s or marketing.timeout_s
        self.settle_s = self.timeout_s if binding.settle_s is None else binding.settle_s
        self._decode = AnswerDecoder(binding.charset, binding.answer_charset, marketing.answer_limit).decode
        self._refusal = _Refusal(binding.refusal, tables) if binding.refusal else None
        self._failure = condition(binding.failure, tables) if binding.failure else None
        self._not_applied = condition(binding.not_applied, tables) if binding.not_applied else None
        self._response = compiled(binding.response, tables)
        self._named_id = optional(binding.request_id, tables)
        self._request = RequestTemplate(marketing.url, binding, binding.request, headers, tables)
        inquire = binding.inquire
        self._inquiry: RequestTemplate | None = None
        if inquire:
            inquiry = binding.model_copy(
                update={"method": inquire.method, "path": inquire.path, "query": inquire.query}
            )
            self._inquiry = RequestTemplate(marketing.url, inquiry, inquire.request, headers, tables)
            self._found, self._absent = condition(inquire.found, tables), condition(inquire.not_found, tables)
            self._found_response = compiled(inquire.response or binding.response, tables)
            self.inquiry_timeout_s = inquire.timeout_s or self.timeout_s
        if trace is not None:
            self._trace(trace)

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        """Do it. See the table above."""
        try:
            request = self._request.render(asked, self._values(asked))
        except MappingError as error:
            return Rejected(f"request not mapped: {error}", asked=False)
        try:
            try:
                response = await self._client.exchange(request, timeout_s, may_send=asked.may_send)
            except Lost as lost:
                if not lost.stale or self._operation.kind is Kind.COMMAND:
                    raise
                response = await self._client.exchange(request, timeout_s, fresh=True)
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
            request = self._inquiry.render(asked, self._values(asked))
            response = await self._client.exchange(request, min(timeout_s, self.inquiry_timeout_s))
            status = response.status
            if status >= 500 or status in _TURNED_AWAY or 300 <= status < 400:
                return Unknown(f"inquiry: HTTP {status}")
            answer = self._decode(response)
            if truth(self._absent(answer)):
                self._ours(asked, answer, surely=False)
                return Absent()
            if not truth(self._found(answer)):
                return Unknown(f"undecided inquiry, HTTP {status}", fault=Fault.ANSWER)
            return self._answered(asked, self._found_response, answer)
        except AnswerMismatch as error:
            return Unknown(f"inquiry: mismatch at {error.field}", fault=Fault.MISMATCH)
        except (AnswerError, MappingError, ValueError) as error:
            return Unknown(f"inquiry: {_safe(error)}", fault=Fault.ANSWER)
        except NotSent as error:
            return Unknown(f"inquiry: {_safe(error)}")
        except Lost as lost:
            return Unknown(f"inquiry: {lost.reason}", fault=_fault(lost))

    def _trace(self, trace: Trace) -> None:
        steps = {
            "not_applied": "_not_applied",
            "failure": "_failure",
            "response": "_response",
            "request_id": "_named_id",
        }
        if self._inquiry is not None:
            steps |= {"inquire.found": "_found", "inquire.not_found": "_absent", "inquire.response": "_found_response"}
        for name, attribute in steps.items():
            if (run := getattr(self, attribute)) is not None:
                setattr(self, attribute, _traced(name, run, trace))
        if self._refusal is not None:
            self._refusal.when = _traced("refusal.when", self._refusal.when, trace)

    def _values(self, asked: MarketingRequest) -> dict[str, Any]:
        values: dict[str, Any] = self._operation.requests.dump_python(asked.body, mode="json")
        values["request_id"] = asked.request_id
        return values

    def _outcome(self, asked: MarketingRequest, response: Response) -> Outcome:
        status = response.status
        if status >= 500 or status == 408:
            return Unknown(f"HTTP {status}")
        if status in _DENIED or 300 <= status < 400:
            return NotApplied(f"HTTP {status}", reached=False, denied=True)
        if status == 429:
            return NotApplied("HTTP 429", reached=True)
        try:
            answer = self._decode(response)
            if self._not_applied is not None and truth(self._not_applied(answer)):
                return NotApplied("declined for the moment", reached=True)
            if self._failure is not None and truth(self._failure(answer)):
                return Unknown("failure answer")
            if self._refusal is not None and truth(self._refusal.when(answer)):
                refused = self._refusal.read(answer)
                if refused is None:  # a gateway's or framework's page, or a field renamed: nobody said no
                    if status >= 400:
                        return Rejected(f"HTTP {status}")
                    return Unknown("an answer without a refusal code", fault=Fault.ANSWER)
                self._ours(asked, answer, surely=False)
                return refused
            if status >= 400:
                return Rejected(f"HTTP {status}")
            return self._answered(asked, self._response, answer)
        except AnswerMismatch as error:
            return Unknown(f"mismatch at {error.field}", fault=Fault.MISMATCH)
        except AnswerError as error:
            return Rejected(f"HTTP {status}") if status >= 400 else Unknown(str(error), fault=Fault.ANSWER)
        except (MappingError, ValueError) as error:
            if status >= 400:
                return Rejected(f"HTTP {status}")
            return Unknown(f"answer: {_safe(error)}", fault=Fault.ANSWER)

    def _answered(self, asked: MarketingRequest, mapping: Mapped, answer: Any) -> Answered:
        self._ours(asked, answer, surely=True)
        operation = self._operation
        return Answered(operation.answer(asked.body, validated(operation.responses, mapping(answer))))

    def _ours(self, asked: MarketingRequest, answer: Any, *, surely: bool) -> None:
        """Raise AnswerMismatch if the answer names another request id than ours; if `surely`, also if it names none."""
        if self._named_id is None:
            return
        named = self._named_id(answer)
        if named != asked.request_id and (surely or named is not None):
            raise AnswerMismatch("request_id")


def _traced(name: str, run: Mapped, trace: Trace) -> Mapped:
    def traced(value: Any) -> Any:
        try:
            gave = run(value)
        except MappingError as error:
            trace(name, error)
            raise
        trace(name, gave)
        return gave

    return traced


class _Refusal:
    """Reads the marketing system's no."""

    def __init__(self, section: RefusalSection, tables: Tables) -> None:
        self.when: Callable[[Any], Any] = compiled(section.when, tables)
        self._said_no = condition(section.when, tables)
        self._code, self._codes = compiled(section.code, tables), section.codes
        self._detail = optional(section.detail, tables)

    def read(self, answer: Any) -> Refused | None:
        """The no. None when what `when` tests is not there, or no code is: a text that is not blank, or an integer."""
        if not truth(self._said_no(answer)):
            return None
        theirs = self._code(answer)
        if not (type(theirs) is int or (isinstance(theirs, str) and theirs.strip())):
            return None
        code = self._codes.get(str(theirs))
        if code is None:
            plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in str(theirs)[:32]).strip("-").lower()
            code = f"marketing-{plain or 'refused'}"
        detail = self._detail(answer) if self._detail is not None else None
        return Refused(code, str(detail)[:300] if detail is not None else "")


def _fault(lost: Lost) -> Fault:
    return Fault.ANSWER if lost.unusable else Fault.INTERFACE


def _safe(error: Exception) -> str:
    """What may be logged of an error: where the answer is wrong, never its text."""
    return str(error) if isinstance(error, AnswerError | MappingError | NotSent) else type(error).__name__
