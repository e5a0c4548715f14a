"""Account numbers as the companies behind this front write them: what fits no form is refused before it is asked for.

The schema takes the widest form that is safe everywhere; what a number looks like is each company's own, so it stands
in the configuration (`[[accounts]]`), in the API's pages, and in the error.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from dmz_front.problems.details import Problem
from dmz_front.settings import AccountForm
from protocol.operations import Operation
from protocol.operations.fields import ACCOUNT_FORMAT


class AccountForms:
    """The forms of one front."""

    def __init__(self, forms: Sequence[AccountForm] = ()) -> None:
        self.edition = 0
        """Grows with each change, from 1."""
        self.use(forms)

    def use(self, forms: Sequence[AccountForm]) -> None:
        """Go by these from now on."""
        self._forms = tuple(forms)
        self.edition += 1
        # each by itself: joined into one, a form's groups would have other numbers
        self._patterns = [re.compile(form.pattern) for form in self._forms]

    def check(self, operation: Operation, asked: BaseModel) -> None:
        """Raises Problem 422 naming each account number of a request that fits no form."""
        if not self._forms:
            return
        odd = [name for name in operation.accounts if not self._fits(getattr(asked, name))]
        if odd:
            message = f"is no account number here; wanted: {self.wanted()}"
            errors = [{"field": name, "message": message, "type": "account_number"} for name in odd]
            raise Problem(422, "invalid-request", f"{len(odd)} field(s) do not fit", errors=errors)

    def _fits(self, number: str | None) -> bool:
        return number is None or any(pattern.fullmatch(number) for pattern in self._patterns)

    def wanted(self) -> str:
        """The forms, for people."""
        return "; or ".join(
            f"{form.company}: {form.description or form.pattern}, for example {form.example}" for form in self._forms
        )

    def describe(self, schemas: Mapping[str, Any], named: str = "Customer account number.") -> None:
        """Say the forms in JSON Schemas: of each account number in them, patterns, description and examples. `named` is
        what an account number is called.
        """
        if self._forms:
            said = {
                "anyOf": [{"title": form.company, "pattern": f"^(?:{form.pattern})$"} for form in self._forms],
                "description": f"{named} {self.wanted()}",
                "examples": [form.example for form in self._forms],
            }
            for schema in schemas.values():
                _say(schema, said)


def _say(schema: Any, said: Mapping[str, Any]) -> None:
    match schema:
        case dict():
            if schema.get("format") == ACCOUNT_FORMAT:
                schema.update(said)
            for part in schema.values():
                _say(part, said)
        case list():
            for part in schema:
                _say(part, said)
