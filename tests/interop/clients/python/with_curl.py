"""The curl command with `--http2`: over HTTP it offers `Upgrade: h2c`, over TLS h2 by ALPN. The key goes by standard
input, as a configuration file of curl's."""

import subprocess
from collections.abc import Mapping

from tests.interop.clients.python.calls import CA, Answer, run


def send(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    lines = [f'url = "{url}"', f'request = "{method}"', "http2", "silent", "show-error", 'noproxy = "*"']
    lines += [f'header = "{name}: {value}"' for name, value in headers.items()]
    lines += [r'write-out = "\n%header{request-id}\n%{http_code}"']
    if CA:
        lines.append(f'cacert = "{CA}"')
    if body:
        quoted = body.decode().replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'data = "{quoted}"')
    done = subprocess.run(["curl", "-q", "-K", "-"], input="\n".join(lines).encode(), capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    text, id, status = done.stdout.decode().rsplit("\n", 2)
    return int(status), text, id


run(send)
