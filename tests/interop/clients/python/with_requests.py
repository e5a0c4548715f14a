"""requests, with one session."""

from collections.abc import Mapping

import requests

from tests.interop.clients.python.calls import CA, Answer, run

session = requests.Session()
session.trust_env = False


def send(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    answer = session.request(method, url, headers=headers, data=body or None, verify=CA or True, timeout=30)
    return answer.status_code, answer.text, answer.headers["Request-Id"]


run(send)
