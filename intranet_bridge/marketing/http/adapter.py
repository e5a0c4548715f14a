"""HTTP: one operation bound, by configuration, to an interface of the marketing system.

::

    body ─► request expression ─► POST ─► status ─► answer ─► judgement (marketing/judgement.py)

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

from typing import Any

from intranet_bridge.marketing import Fault, Finding, MarketingRequest, NotApplied, Outcome, Rejected, Unknown
from intranet_bridge.marketing.expressions.mapping import MappingError
from intranet_bridge.marketing.http.answer import AnswerDecoder, AnswerError
from intranet_bridge.marketing.http.binding import HttpBinding, HttpSystem
from intranet_bridge.marketing.http.client import HttpClient, NotSent
from intranet_bridge.marketing.http.connection import Lost, Response
from intranet_bridge.marketing.http.headers import merged
from intranet_bridge.marketing.http.request import RequestTemplate
from intranet_bridge.marketing.judgement import InquiryJudgement, Judgement, Trace
from protocol.operations.operation import Kind, Operation

_DENIED = frozenset({401, 403, 407})
_TURNED_AWAY = _DENIED | {408, 429}


class HttpAdapter:
    """One operation. Compiled once; a call is: map, write, read, map, validate."""

    def __init__(
        self,
        operation: Operation,
        binding: HttpBinding,
        system: HttpSystem,
        client: HttpClient,
        secret: str = "",
        trace: Trace | None = None,
    ) -> None:
        """`trace` is told what each expression about an answer gave, for trials."""
        tables = binding.values
        login = system.authentication
        headers = merged(system.headers, binding.headers, {login.header: login.prefix + secret} if login else {})
        self._operation = operation
        self._client = client
        self.timeout_s = binding.timeout_s or system.timeout_s
        self.settle_s = self.timeout_s if binding.settle_s is None else binding.settle_s
        self._decode = AnswerDecoder(binding.charset, binding.answer_charset, system.answer_limit).decode
        self._judgement = Judgement(operation, binding, trace)
        self._request = RequestTemplate(system.url, binding, binding.request, headers, tables)
        inquire = binding.inquire
        self._inquiry: RequestTemplate | None = None
        if inquire:
            inquiry = binding.model_copy(
                update={"method": inquire.method, "path": inquire.path, "query": inquire.query}
            )
            self._inquiry = RequestTemplate(system.url, inquiry, inquire.request, headers, tables)
            self._inquiry_judgement = InquiryJudgement(
                self._judgement, inquire.found, inquire.not_found, inquire.response, tables, trace
            )
            self.inquiry_timeout_s = inquire.timeout_s or self.timeout_s

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
            return self._inquiry_judgement.finding(asked, self._decode(response), f", HTTP {status}")
        except (AnswerError, MappingError, ValueError) as error:
            return Unknown(f"inquiry: {_safe(error)}", fault=Fault.ANSWER)
        except NotSent as error:
            return Unknown(f"inquiry: {_safe(error)}")
        except Lost as lost:
            return Unknown(f"inquiry: {lost.reason}", fault=_fault(lost))

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
        except AnswerError as error:
            return Rejected(f"HTTP {status}") if status >= 400 else Unknown(str(error), fault=Fault.ANSWER)
        return self._judgement.outcome(asked, answer, f"HTTP {status}" if status >= 400 else "")


def _fault(lost: Lost) -> Fault:
    return Fault.ANSWER if lost.unusable else Fault.INTERFACE


def _safe(error: Exception) -> str:
    """What may be logged of an error: where the answer is wrong, never its text."""
    return str(error) if isinstance(error, AnswerError | MappingError | NotSent) else type(error).__name__
