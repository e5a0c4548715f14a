"""Operations that are answered from an import (own.py is how the bridge answers anything itself)."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from intranet_bridge.imports.runs import Import
from intranet_bridge.imports.section import AnswerSection
from intranet_bridge.imports.selection import page_of, selected
from intranet_bridge.marketing import Adapter, Fault, MarketingRequest, NotApplied, Outcome, Refused, Unknown
from intranet_bridge.marketing.expressions.mapping import MappingError, compiled
from intranet_bridge.marketing.expressions.result import validated
from intranet_bridge.own import OwnOperation
from protocol.operations import AnswerMismatch, Operation

Under = Callable[[str], Adapter | None]
"""What an operation is bound to besides."""


class _NotHere(Exception):
    """What is asked for is not to be answered from the import."""


class ImportedOperation(OwnOperation):
    """One. What is too old, and whom no row is about, is asked where the operation is bound, if it is."""

    def __init__(self, operation: Operation, section: AnswerSection, imported: Import, under: Under) -> None:
        super().__init__(operation, self._answer)
        self._section, self._import, self._under = section, imported, under
        self._response = compiled(section.response)

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        """Have it answered."""
        if not self._import.fresh:
            return await self._elsewhere(asked, timeout_s, "nothing is imported that is not too old")
        try:
            return await super().call(asked, timeout_s)
        except _NotHere:
            return await self._elsewhere(asked, timeout_s, "no row is about it")
        except AnswerMismatch as error:
            return Unknown(f"mismatch at {error.field}", fault=Fault.MISMATCH)
        except MappingError as error:
            return Unknown(f"imported rows: {error}", fault=Fault.ANSWER)
        except ValueError:
            return Unknown("imported rows: cannot be read", fault=Fault.ANSWER)

    async def _elsewhere(self, asked: MarketingRequest, timeout_s: float, why: str) -> Outcome:
        adapter = self._under(self._operation.name)
        if adapter is None:
            return NotApplied(why, reached=True)
        return await adapter.call(asked, min(adapter.timeout_s, timeout_s))

    async def _answer(self, asked: MarketingRequest) -> BaseModel | Refused:
        section = self._section
        request: dict[str, Any] = self._operation.requests.dump_python(asked.body, mode="json")
        if section.by:
            row = await self._import.find(str(request[section.by])) if request.get(section.by) is not None else None
            if row is None and not section.none:
                raise _NotHere
            found = [] if row is None else [row]
            seen: dict[str, Any] = {"request": request, "row": row}
        else:
            found = list(selected(self._import.rows, section, request))
            seen = {"request": request, "rows": list(page_of(found, request)), "total": len(found)}
        if not found and section.none:
            return Refused(section.none)
        answer: BaseModel = validated(self._operation.responses, self._response(seen))
        return answer
