"""httpx, with one client."""

import ssl
from collections.abc import Mapping

import httpx

from tests.interop.clients.python.calls import CA, Answer, run

context = ssl.create_default_context(cafile=CA or None)
client = httpx.Client(verify=context, trust_env=False, timeout=30)


def send(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    answer = client.request(method, url, headers=headers, content=body or None)
    return answer.status_code, answer.text, answer.headers["Request-Id"]


run(send)
