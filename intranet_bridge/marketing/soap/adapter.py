"""SOAP: one operation bound, by configuration, to an operation of a WSDL.

What an answer means (`reached` and the rest: marketing/__init__.py):

====================================  ================================================================
no connection                         NotApplied, not reached
written, no whole answer              Unknown
a fault, whatever the HTTP status     by the table of faults (faults.py); one not in it: NotApplied if the
                                      message was turned away as such, else Unknown
a status that says it                 http/status.py
4xx                                   Refused if the refusal expression says so and a code is there, else
                                      by http/status.py
2xx                                   by the binding's expressions; what cannot be read, or is no answer of
                                      this operation, is Unknown
====================================  ================================================================

Messages are made on the event loop (they are small), answers read on it up to `ASIDE` bytes; longer ones by threads,
at most `THREADS` at once.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

from zeep.wsdl.messages.multiref import process_multiref

from intranet_bridge.marketing import (
    Absent,
    Fault,
    Finding,
    MarketingRequest,
    NotApplied,
    Outcome,
    Refused,
    Rejected,
    Unknown,
)
from intranet_bridge.marketing.expressions.mapping import MappingError
from intranet_bridge.marketing.http.answer import AnswerError
from intranet_bridge.marketing.http.client import HttpClient, NotSent
from intranet_bridge.marketing.http.connection import Lost, Response
from intranet_bridge.marketing.http.status import said_by, turned_down
from intranet_bridge.marketing.judgement import InquiryJudgement, Judgement, Trace
from intranet_bridge.marketing.soap.binding import FAILURE, NOT_APPLIED, SoapBinding
from intranet_bridge.marketing.soap.description import is_rpc
from intranet_bridge.marketing.soap.envelope import EnvelopeDecoder
from intranet_bridge.marketing.soap.faults import SoapFault, fault_of
from intranet_bridge.marketing.soap.message import Message
from intranet_bridge.marketing.soap.reader import Reader
from protocol.operations.operation import Kind, Operation

ASIDE = 48 * 1024
"""Bytes of an answer that are read on the event loop: some milliseconds."""
THREADS = 2
EXPANDED = 200_000
"""Elements of an answer, references followed."""
_RETRYABLE_FAULTS = ("Server", "Receiver")


class AnswerReader:
    """Reads the answers of one operation of the WSDL: the value that expressions see, or a fault."""

    def __init__(self, operation: Any, reader: Reader, decoder: EnvelopeDecoder) -> None:
        """`operation`: zeep's."""
        output = operation.output
        self._decode, self._rpc = decoder.decode, is_rpc(output)
        self._several = output._is_body_wrapped and not self._rpc  # several parts directly in the body
        self._name = output.body.qname.localname
        self._read = reader.of(output.body.type)
        self.declared = frozenset(
            message.body.qname.localname for message in operation.faults.values() if getattr(message, "body", None)
        )

    def read(self, response: Response) -> Any:
        """The value, or a SoapFault. Raises AnswerError."""
        body = self._decode(response)
        fault = fault_of(body)
        if fault is not None:
            return fault
        if self._several:
            return self._read(body)
        if self._rpc:
            _without_references(body)
        if not len(body):
            raise AnswerError("the answer's body is empty")
        root = body[0]
        # of style rpc the wrapper's name is only a convention
        if not self._rpc and root.tag[root.tag.rfind("}") + 1 :] != self._name:
            raise AnswerError("the answer is not this operation's: another element is in its body")
        return self._read(root)


class SoapAdapter:
    """One operation."""

    def __init__(
        self,
        operation: Operation,
        binding: SoapBinding,
        *,
        timeout_s: float,
        client: HttpClient,
        message: Message,
        answers: AnswerReader,
        inquiry: tuple[Message, AnswerReader] | None,
        executor: Executor,
        trace: Trace | None = None,
    ) -> None:
        """`trace` is told what each expression about an answer gave, for trials."""
        self._operation, self._client, self._executor, self._trace = operation, client, executor, trace
        self.timeout_s = timeout_s
        self.settle_s = timeout_s if binding.settle_s is None else binding.settle_s
        self._message, self._answers, self._faults = message, answers, binding.faults
        self._judgement = Judgement(operation, binding, trace)
        self._inquiry, inquire = inquiry, binding.inquire
        if inquire:
            self._inquiry_judgement = InquiryJudgement(
                self._judgement,
                inquire.found,
                inquire.not_found or "`false`",
                inquire.response,
                binding.values,
                trace,
            )
            self._inquiry_faults = inquire.faults
            self.inquiry_timeout_s = inquire.timeout_s or timeout_s

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        """Do it. See the table above."""
        deadline = time.monotonic() + timeout_s
        render = partial(self._message.render, asked, self._values(asked))
        command = self._operation.kind is Kind.COMMAND
        again = None if command else render  # a nonce is taken once
        try:
            request = render()
            response = await self._client.exchange(
                request, deadline - time.monotonic(), again=again, may_send=asked.may_send
            )
        except MappingError as error:
            return Rejected(f"request not mapped: {error}", asked=False)
        except NotSent as error:
            return NotApplied(str(error), reached=False)
        except Lost as lost:
            return Unknown(lost.reason, timed_out=lost.timed_out, fault=_fault(lost))
        status = response.status
        answer: Any
        try:
            answer = await self._read(self._answers, response, deadline)
        except TimeoutError:
            return Unknown("timeout", timed_out=True)
        except AnswerError as error:
            answer = error
        if isinstance(answer, SoapFault):
            return self._on_fault(answer)
        said = said_by(status, command=command)
        if said is not None:
            return said
        no = turned_down(status, command=command)
        if isinstance(answer, AnswerError):
            return no or Unknown(str(answer), fault=Fault.ANSWER)
        return self._judgement.outcome(asked, answer, no)

    async def inquire(self, asked: MarketingRequest, timeout_s: float) -> Finding:
        """What became of this request id."""
        if self._inquiry is None:
            return Unknown("no inquiry is configured")
        message, answers = self._inquiry
        timeout_s = min(timeout_s, self.inquiry_timeout_s)
        deadline = time.monotonic() + timeout_s
        try:
            request = message.render(asked, self._values(asked))
            response = await self._client.exchange(request, timeout_s)
            answer = await self._read(answers, response, deadline)
        except (AnswerError, MappingError) as error:
            return Unknown(f"inquiry: {error}", fault=Fault.ANSWER)
        except NotSent as error:
            return Unknown(f"inquiry: {error}")
        except Lost as lost:
            return Unknown(f"inquiry: {lost.reason}", fault=_fault(lost))
        except TimeoutError:
            return Unknown("inquiry: timeout")
        if isinstance(answer, SoapFault):
            verdict = self._of_table(answer, self._inquiry_faults)
            if verdict == "not_found":
                return Absent()
            return Unknown(f"inquiry: {_named(answer)}", fault=self._whose(answer, answers.declared))
        if response.status >= 300:
            return Unknown(f"inquiry: HTTP {response.status}")
        return self._inquiry_judgement.finding(asked, answer)

    def _values(self, asked: MarketingRequest) -> dict[str, Any]:
        values: dict[str, Any] = self._operation.requests.dump_python(asked.body, mode="json")
        values["request_id"] = asked.request_id
        return values

    async def _read(self, answers: AnswerReader, response: Response, deadline: float) -> Any:
        """The answer's value. Raises AnswerError, and TimeoutError when that would take too long."""
        if len(response.body) <= ASIDE and not response.codings:
            return answers.read(response)
        read: Callable[[Response], Any] = answers.read
        async with asyncio.timeout(deadline - time.monotonic()):
            return await asyncio.get_running_loop().run_in_executor(self._executor, read, response)

    def _on_fault(self, fault: SoapFault) -> Outcome:
        verdict = self._of_table(fault, self._faults)
        if verdict == NOT_APPLIED:
            return NotApplied("declined for the moment", reached=True)
        if verdict == FAILURE:
            return Unknown("failure fault")
        if verdict is not None:
            return Refused(verdict, fault.text[:300])
        if fault.turned_away:
            return NotApplied(_named(fault), reached=False, denied=True)
        return Unknown(_named(fault), fault=self._whose(fault, self._answers.declared))

    def _of_table(self, fault: SoapFault, table: Any) -> Any:
        verdict = fault.found(table)
        if self._trace is not None:
            self._trace("fault says", list(fault.keys))
            self._trace("fault is", verdict)
        return verdict

    def _whose(self, fault: SoapFault, declared: frozenset[str]) -> Fault:
        """Whether a fault that no table has would meet any request, or may be this one's: a business answer."""
        technical = fault.kind in _RETRYABLE_FAULTS and not declared.intersection(fault.details)
        return Fault.INTERFACE if technical else Fault.ANSWER


def _without_references(body: Any) -> None:
    """Put what ``href`` refers to in its place (SOAP 1.1, section 5, as style rpc with use encoded has it).

    Raises AnswerError for what refers to itself, or would grow beyond `EXPANDED`: references are a bomb too.
    """
    targets = {element.get("id"): element for element in body.iter() if element.get("id")}
    if not targets:
        return
    sizes: dict[str, int] = {}

    def size(element: Any, above: tuple[str, ...]) -> int:
        total = 0
        for one in element.iter():
            total += 1
            name = (one.get("href") or "").removeprefix("#")
            if name in targets:
                if name in above:
                    raise AnswerError("the answer's references go in a circle")
                if name not in sizes:
                    sizes[name] = size(targets[name], (*above, name))
                total += sizes[name]
        return total

    if size(body, ()) > EXPANDED:
        raise AnswerError("the answer grows too large by its references")
    process_multiref(body)


def _named(fault: SoapFault) -> str:
    return f"a SOAP fault that the table does not have{f' ({fault.kind})' if fault.kind else ''}"


def _fault(lost: Lost) -> Fault:
    return Fault.ANSWER if lost.unusable else Fault.INTERFACE
