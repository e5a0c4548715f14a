"""The client that openapi-python-client makes of /openapi.json: all that is sent and answered goes through its models.

It runs in an environment of its own, where `dmz_bridge_client` is; mypy looks at it there, in strict mode.
"""

import json
import os
import ssl
import sys
from typing import Any, cast

import httpx
from dmz_bridge_client import AuthenticatedClient, Client
from dmz_bridge_client.api.bills_and_arrears import bill_query
from dmz_bridge_client.api.requests import request_status
from dmz_bridge_client.api.work_orders import work_order
from dmz_bridge_client.models import (
    BillQuery,
    BillQuerySucceeded,
    Problem,
    Refused,
    Status,
    WorkOrder,
    WorkOrderSucceeded,
)
from dmz_bridge_client.types import Response

URL = os.environ["INTEROP_URL"]
options: dict[str, Any] = {
    "verify_ssl": ssl.create_default_context(cafile=os.environ.get("INTEROP_CA") or None),
    "httpx_args": {"trust_env": False},
    "timeout": httpx.Timeout(30),
}
client = AuthenticatedClient(base_url=URL, token=os.environ["INTEROP_KEY"], **options)
without_key = cast(AuthenticatedClient, Client(base_url=URL, **options))  # the types allow no call without a key

Answer = tuple[int, dict[str, Any], str]
"""Status, body, Request-Id."""


def bills(body: BillQuery, by: AuthenticatedClient = client) -> Answer:
    answer = bill_query.sync_detailed(client=by, body=body)
    match answer.parsed:
        case BillQuerySucceeded() as succeeded:
            # typed all the way: a wrong name or type here is mypy's to refuse
            months: list[str] = [bill.month for bill in succeeded.result.bills]
            amount: int = sum(bill.amount for bill in succeeded.result.bills)
            if not months or not amount:
                raise ValueError("no bills")
            return _read(answer, succeeded.to_dict())
        case Refused() | Problem() as other:
            return _read(answer, other.to_dict())
        case _:
            raise ValueError(f"{answer.status_code} is not in the document")


def order(body: WorkOrder, idempotency_key: str) -> Answer:
    answer = work_order.sync_detailed(client=client, body=body, idempotency_key=idempotency_key, prefer="wait=10")
    if not isinstance(answer.parsed, WorkOrderSucceeded):
        raise ValueError(f"answered {answer.parsed}")
    return _read(answer, answer.parsed.to_dict())


def status_of(id: str) -> Answer:
    answer = request_status.sync_detailed(id, client=client)
    if not isinstance(answer.parsed, Status):
        raise ValueError(f"answered {answer.parsed}")
    return _read(answer, answer.parsed.to_dict())


def _read(answer: Response[Any], body: dict[str, Any]) -> Answer:
    return int(answer.status_code), body, answer.headers["Request-Id"]


def made(call: str, key: str, body: str, command: str) -> Answer:
    match call:
        case "command" | "again":
            return order(WorkOrder.from_dict(json.loads(body)), key)
        case "status":
            return status_of(command)
        case "unauthenticated":
            return bills(BillQuery.from_dict(json.loads(body)), without_key)
        case _:
            return bills(BillQuery.from_dict(json.loads(body)))


def main() -> None:
    command = ""
    for line in sys.stdin.buffer.read().decode().splitlines():
        call, _, _, _, key, body = line.split("\t")
        try:
            status, said, id = made(call, key, body, command)
        except Exception as error:
            status, said, id = 0, {"error": repr(error)}, ""
        if call == "command":
            command = id
        print(json.dumps({"call": call, "status": status, "body": json.dumps(said)}), flush=True)


if __name__ == "__main__":
    main()
