"""The interfaces that only tests need: journal, fault switches, health.

They need no token: the simulator listens on loopback only.
"""

import asyncio
import json
from pathlib import Path

from aiohttp import web

from scripts.tools.marketing_simulator import files, journal, promotions, writeoffs
from scripts.tools.marketing_simulator.bindings import messages
from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.database import connect_for_reading, origin
from scripts.tools.marketing_simulator.faults import FaultInjector, FaultPlan, FaultPlanError
from scripts.tools.marketing_simulator.server import json_response


class ControlInterfaces:
    """Handlers of the control interfaces. The journal is read over its own connection, off the event loop."""

    def __init__(self, database: Path, faults: FaultInjector, clock: Clock) -> None:
        self._database = database
        self._faults = faults
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Their paths."""
        return [
            web.get("/health", self.health),
            web.get("/journal", self.journal),
            web.get("/journal/summary", self.journal_summary),
            web.get("/outbox", self.outbox),
            web.get("/files", self.files),
            web.get("/books/payments", self.payments),
            web.get("/books/promotions", self.promotions),
            web.get("/faults", self.show_faults),
            web.put("/faults", self.set_faults),
            web.delete("/faults", self.clear_faults),
        ]

    async def health(self, _request: web.Request) -> web.Response:
        """That it is up, and the parameters that the population was generated from."""

        def read() -> dict[str, str]:
            connection = connect_for_reading(self._database)
            try:
                return origin(connection)
            finally:
                connection.close()

        values = await asyncio.to_thread(read)
        state = {
            "status": "up",
            "customers": int(values["customers"]),
            "seed": int(values["seed"]),
            "generatedFor": values["day"],
            "today": self._clock.today().isoformat(),
        }
        return json_response(state)

    async def journal(self, request: web.Request) -> web.Response:
        """The journal's entries, or with `?request_id=` the entry of one request (a list of 0 or 1)."""
        request_id = request.query.get("request_id")

        def read() -> list[dict[str, object]]:
            connection = connect_for_reading(self._database)
            try:
                return journal.lines(connection, request_id)
            finally:
                connection.close()

        return json_response(await asyncio.to_thread(read))

    async def files(self, _request: web.Request) -> web.Response:
        """The files that were handed over, with their digests."""

        def read() -> list[dict[str, object]]:
            connection = connect_for_reading(self._database)
            try:
                return files.listed(connection)
            finally:
                connection.close()

        return json_response(await asyncio.to_thread(read))

    async def journal_summary(self, _request: web.Request) -> web.Response:
        """The journal's totals."""

        def read() -> dict[str, int]:
            connection = connect_for_reading(self._database)
            try:
                return journal.summary(connection)
            finally:
                connection.close()

        return json_response(await asyncio.to_thread(read))

    async def outbox(self, request: web.Request) -> web.Response:
        """The text messages sent to customers, or with `?account=` those about one account; the latest last."""
        account = request.query.get("account")

        def read() -> list[dict[str, object]]:
            connection = connect_for_reading(self._database)
            try:
                return messages(connection, account)
            finally:
                connection.close()

        return json_response(await asyncio.to_thread(read))

    async def payments(self, _request: web.Request) -> web.Response:
        """Every payment that was booked, in the order of booking."""

        def read() -> list[dict[str, object]]:
            connection = connect_for_reading(self._database)
            try:
                return writeoffs.book(connection)
            finally:
                connection.close()

        return json_response(await asyncio.to_thread(read))

    async def promotions(self, _request: web.Request) -> web.Response:
        """Every reservation of a coupon, red packet or points."""

        def read() -> list[dict[str, object]]:
            connection = connect_for_reading(self._database)
            try:
                return promotions.book(connection, self._clock.now())
            finally:
                connection.close()

        return json_response(await asyncio.to_thread(read))

    async def show_faults(self, _request: web.Request) -> web.Response:
        """The plan in force."""
        return json_response(self._faults.state())

    async def set_faults(self, request: web.Request) -> web.Response:
        """Set a plan; an error names the invalid field."""
        try:
            plan = FaultPlan.parse(json.loads(await request.read()))
        except FaultPlanError as error:
            return json_response({"error": str(error), "field": error.field}, status=400)
        except ValueError:
            return json_response({"error": "must be a JSON object", "field": "(body)"}, status=400)
        self._faults.set(plan)
        return json_response(self._faults.state())

    async def clear_faults(self, _request: web.Request) -> web.Response:
        """Remove the plan."""
        self._faults.clear()
        return json_response(self._faults.state())
