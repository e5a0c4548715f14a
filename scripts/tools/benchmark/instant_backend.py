"""A backend that responds at once: the least a marketing system can cost, so that the pair's own cost shows.

It reads whole HTTP requests and responds by path from a table, with the simulator's field names. A second argument is
how long each call takes, in milliseconds. `/calls` says how many there were.
"""

import asyncio
import re
import sys
from typing import cast

ANSWERS = {
    b"/health": b'{"status":"ok"}',
    b"/api/bill/query": (
        b'{"rtnCode":"0000","rtnMsg":"ok","data":{"consNo":"3210000000001","consName":"x","elecAddr":"x","billCnt":1,'
        b'"billList":[{"amtYm":"202606","tPq":180,"tAmt":8789,"lvlList":[{"lvl":1,"pq":180,"prc":"0.4883","amt":8789}],'
        b'"bgnRead":100,"endRead":280,"mrDate":"2026-06-30","rlsDate":"2026-07-01","payFlag":"1",'
        b'"payDate":"2026-07-10"}]}}'
    ),
    b"/api/wo/create": (
        b'{"rtnCode":"0000","rtnMsg":"ok","data":{"reqId":"x","woNo":"202611220000000001","woType":"03",'
        b'"acceptTime":"2026-11-22 06:28:10"}}'
    ),
}
_REQUEST_ID = re.compile(rb'"reqId":\s*"([0-9a-zA-Z-]+)"')
_ACCOUNT = re.compile(rb'"consNo":\s*"([0-9]+)"')
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)


class Instant(asyncio.Protocol):
    """One connection."""

    latency_s = 0.0
    calls = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one, but does not inherit from it
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            found = _LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self.buffer) < whole:
                return
            asked, self.buffer = self.buffer[end + 4 : whole], self.buffer[whole:]
            body = ANSWERS.get(head.split(b" ", 2)[1], b"{}")
            if b'"reqId":"x"' in body and (id := _REQUEST_ID.search(asked)):  # else it would be about another request
                body = body.replace(b'"reqId":"x"', b'"reqId":"%b"' % id[1])
            if account := _ACCOUNT.search(asked):
                body = body.replace(b'"3210000000001"', b'"%b"' % account[1])
            path = head.split(b" ", 2)[1]
            if path == b"/calls":
                body = b"%d" % Instant.calls
            called = path in ANSWERS and path != b"/health"
            Instant.calls += called
            answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
                len(body), body,
            )  # fmt: skip
            if called and self.latency_s:
                asyncio.get_running_loop().call_later(self.latency_s, self.transport.write, answer)
            else:
                self.transport.write(answer)


async def main(port: int, latency_ms: float = 0.0) -> None:
    """Serve until killed."""
    Instant.latency_s = latency_ms / 1000
    server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1]), *map(float, sys.argv[2:3])))
