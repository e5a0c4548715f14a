"""What an answer of a back end means, by the expressions of a binding: the same for every kind of adapter.

::

    answer ─► not_applied? ─► failure? ─► refusal? ─► response expression ─► catalogue schema ─► about what was asked?

What cannot be read, or says no without a code, is Unknown: it may be an error page of a gateway. Where the transport
itself says that the request was turned down (HTTP 4xx), such an answer makes it what that says: Rejected, mostly.
"""

from collections.abc import Callable, Mapping
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
    Unknown,
)
from intranet_bridge.marketing.binding import OperationBinding, RefusalSection
from intranet_bridge.marketing.expressions.mapping import (
    Mapped,
    MappingError,
    Tables,
    compiled,
    condition,
    optional,
    truth,
)
from intranet_bridge.marketing.expressions.result import validated
from protocol.operations import AnswerMismatch
from protocol.operations.operation import Operation

Trace = Callable[[str, Any], None]
"""Told the name of an expression's setting, and what it gave or its MappingError."""


class Judgement:
    """Judges the answers to one operation. Compiled once."""

    def __init__(self, operation: Operation, binding: OperationBinding, trace: Trace | None = None) -> None:
        """`trace` is told what each expression gave, for trials."""
        tables = binding.values
        self._operation, self._trace = operation, trace
        self._refusal = RefusalReader(binding.refusal, tables) if binding.refusal else None
        self._failure = self._traced("failure", _condition(binding.failure, tables))
        self._not_applied = self._traced("not_applied", _condition(binding.not_applied, tables))
        self._response = compiled(binding.response, tables)
        self._named_id = self._traced("request_id", optional(binding.request_id, tables))
        if trace is not None:
            self._response = traced("response", self._response, trace)
            if self._refusal is not None:
                self._refusal.when = traced("refusal.when", self._refusal.when, trace)

    def outcome(self, asked: MarketingRequest, answer: Any, turned_down: Outcome | None = None) -> Outcome:
        """What came of a call. `turned_down`: what the transport said by itself, if it turned the request down."""
        try:
            if self._not_applied is not None and truth(self._not_applied(answer)):
                self.ours(asked, answer, surely=False)
                return NotApplied("declined for the moment", reached=True)
            if self._failure is not None and truth(self._failure(answer)):
                return Unknown("failure answer")
            if self._refusal is not None and truth(self._refusal.when(answer)):
                refused = self._refusal.read(answer)
                if refused is not None:
                    self.ours(asked, answer, surely=False)
                    return refused
                # a gateway's or framework's page, or a field renamed: nobody said no
                return _unreadable("an answer without a refusal code", turned_down)
            return turned_down or self.answered(asked, answer)
        except AnswerMismatch as error:
            return Unknown(f"mismatch at {error.field}", fault=Fault.MISMATCH)
        except (MappingError, ValueError) as error:
            return _unreadable(f"answer: {safe(error)}", turned_down)

    def answered(self, asked: MarketingRequest, answer: Any, response: Mapped | None = None) -> Answered:
        """The result, by `response` or the binding's own. Raises AnswerMismatch, MappingError, ValueError."""
        self.ours(asked, answer, surely=True)
        operation = self._operation
        mapped = (response or self._response)(answer)
        return Answered(operation.answer(asked.body, validated(operation.responses, mapped)))

    def ours(self, asked: MarketingRequest, answer: Any, *, surely: bool) -> None:
        """Raise AnswerMismatch if the answer names another request id than ours; if `surely`, also if it names none."""
        if self._named_id is None:
            return
        named = self._named_id(answer)
        if named != asked.request_id and (surely or named is not None):
            raise AnswerMismatch("request_id")

    def _traced(self, name: str, run: Mapped | None) -> Mapped | None:
        return run if run is None or self._trace is None else traced(name, run, self._trace)


class InquiryJudgement:
    """Judges the answers to inquiries: what became of an earlier call."""

    def __init__(
        self, judgement: Judgement, found: str, not_found: str, response: str | None, tables: Tables,
        trace: Trace | None = None, *, whole: bool = False,
    ) -> None:  # fmt: skip
        """The expressions of an inquiry; without `response` the binding's own reads the answer.

        `whole`: what is found is an answer as a call gets it, so it may be a refusal, a failure or "not applied".
        """
        self._judgement, self._whole = judgement, whole
        self._found, self._absent = condition(found, tables), condition(not_found, tables)
        self._response = optional(response, tables)
        if trace is not None:
            self._found = traced("inquire.found", self._found, trace)
            self._absent = traced("inquire.not_found", self._absent, trace)
            if self._response is not None:
                self._response = traced("inquire.response", self._response, trace)

    def finding(self, asked: MarketingRequest, answer: Any, said: str = "") -> Finding:
        """What the answer to an inquiry says. `said`: what the transport adds to an undecided one (``, HTTP 404``)."""
        try:
            if truth(self._absent(answer)):
                self._judgement.ours(asked, answer, surely=False)
                return Absent()
            if not truth(self._found(answer)):
                return Unknown(f"undecided inquiry{said}", fault=Fault.ANSWER)
            if self._whole:
                return self._stored(asked, answer)
            return self._judgement.answered(asked, answer, self._response)
        except AnswerMismatch as error:
            return Unknown(f"inquiry: mismatch at {error.field}", fault=Fault.MISMATCH)
        except (MappingError, ValueError) as error:
            return Unknown(f"inquiry: {safe(error)}", fault=Fault.ANSWER)

    def _stored(self, asked: MarketingRequest, answer: Any) -> Finding:
        outcome = self._judgement.outcome(asked, answer)
        match outcome:
            case Answered() | Refused():
                return outcome
            case NotApplied():
                return Absent()  # nothing came of it, surely: it is called again
            case Unknown():
                return Unknown(f"inquiry: {outcome.reason}", fault=outcome.fault)
        raise AssertionError("no transport turned it down")


class RefusalReader:
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
        detail = self._detail(answer) if self._detail is not None else None
        return Refused(refusal_code(str(theirs), self._codes), str(detail)[:300] if detail is not None else "")


def refusal_code(theirs: str, codes: Mapping[str, str]) -> str:
    """Our code for one of the marketing system's: by the table, else ``marketing-<code>``."""
    code = codes.get(theirs)
    if code is None:
        plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in theirs[:32]).strip("-").lower()
        code = f"marketing-{plain or 'refused'}"
    return code


def traced(name: str, run: Mapped, trace: Trace) -> Mapped:
    """`run`, telling `trace` what it gives."""

    def told(value: Any) -> Any:
        try:
            gave = run(value)
        except MappingError as error:
            trace(name, error)
            raise
        trace(name, gave)
        return gave

    return told


def safe(error: Exception) -> str:
    """What may be logged of an error: where the answer is wrong, never its text."""
    return str(error) if isinstance(error, MappingError) else type(error).__name__


def _condition(expression: str | None, tables: Tables) -> Mapped | None:
    return condition(expression, tables) if expression else None


def _unreadable(reason: str, turned_down: Outcome | None) -> Outcome:
    return turned_down or Unknown(reason, fault=Fault.ANSWER)
