"""Points (积分): one for every ten yuan of paid bills, exchanged for credit or things."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from scripts.tools.marketing_simulator.effects import Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import ACCOUNT, REQUEST_ID, Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.payments import ADD_CREDIT
from scripts.tools.marketing_simulator.queries import Account, Queries
from scripts.tools.marketing_simulator.responses import Code, Refusal, success

FEN_A_POINT = 1000
EARNED_AND_USED = """
    SELECT (SELECT coalesce(sum(amount_fen), 0) FROM bill WHERE number = :number AND paid_date IS NOT NULL)
         + (SELECT coalesce(sum(paid_fen), 0) FROM settled WHERE number = :number),
           (SELECT coalesce(sum(points), 0) FROM points_exchange WHERE number = :number)
"""
EXCHANGE = "INSERT INTO points_exchange (request_id, number, reward, quantity, points) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Reward:
    """What there is for points; `credit_fen` is put on the account."""

    code: str
    name: str
    points: int
    credit_fen: int = 0


REWARDS = {
    reward.code: reward
    for reward in (
        Reward("bill-credit", "电费抵扣1元", 10, credit_fen=100),
        Reward("led-lamp", "LED节能灯", 150),
    )
}


class Points:
    """The interfaces of points."""

    def __init__(self, connection: sqlite3.Connection, effects: EffectWriter, queries: Queries) -> None:
        self._connection = connection
        self._effects = effects
        self._queries = queries

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of them."""
        yield Interface("/api/points/query", query=self.balance)
        yield Interface("/api/points/exchange", effect=self.exchange)

    def balance(self, fields: Fields) -> bytes:
        """`/api/points/query`."""
        number = fields.text("consNo", 13, ACCOUNT)
        data = {
            "consNo": number,
            "points": _left(self._connection, self._open_account(number)),
            "giftList": [
                {"giftCode": reward.code, "giftName": reward.name, "giftPoints": reward.points}
                for reward in REWARDS.values()
            ],
        }
        return success(data).encode()

    async def exchange(self, fields: Fields) -> Applied:
        """`/api/points/exchange`: NOT idempotent, as with work orders."""
        request_id = fields.text("reqId", 64, REQUEST_ID)
        account_number = fields.text("consNo", 13, ACCOUNT)
        reward = REWARDS.get(fields.text("giftCode", 32))
        count = fields.whole("giftCnt", 1, 100, default=1)
        if reward is None:
            raise Refusal(Code.NO_SUCH_REWARD)
        account = self._open_account(account_number)
        wanted = reward.points * count

        def perform(connection: sqlite3.Connection) -> str:
            left = _left(connection, account) - wanted
            if left < 0:
                raise Refusal(Code.TOO_FEW_POINTS)
            id = connection.execute(EXCHANGE, (request_id, account.number, reward.code, count, wanted)).lastrowid
            if reward.credit_fen:
                connection.execute(ADD_CREDIT, (account.number, reward.credit_fen * count)).fetchone()
            return success(
                {
                    "reqId": request_id,
                    "consNo": account_number,
                    "exchNo": f"EX{id:012}",
                    "giftCode": reward.code,
                    "giftCnt": count,
                    "usedPoints": wanted,
                    "points": left,
                }
            )

        return await self._effects.apply(request_id, "points/exchange", perform, once=False)

    def _open_account(self, number: str) -> Account:
        account = self._queries.account(number)
        if account.closed:
            raise Refusal(Code.ACCOUNT_CLOSED)
        return account


def _left(connection: sqlite3.Connection, account: Account) -> int:
    paid, used = connection.execute(EARNED_AND_USED, {"number": account.number}).fetchone()
    return int(paid) // FEN_A_POINT - int(used)
