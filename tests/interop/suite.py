"""Real HTTP clients against a real installation: seven calls each, over HTTP and over the front's own HTTPS.

A client program (clients/) reads the calls from standard input, one a line, with tabs between: call, method, path,
`1` if it sends the key, Idempotency-Key, body; `{id}` in a path is the Request-Id of the answer to `command`. It takes
INTEROP_URL, INTEROP_KEY and INTEROP_CA (a PEM file; not set over HTTP) from its environment, and prints a line of JSON
a call: `{"call": …, "status": …, "body": …}`, with status 0 and the error's text when there was no answer.

A client may be one that a generator makes of the front's OpenAPI document (clients/generated): its program knows the
calls by their names, and takes of a line no more than the Idempotency-Key and the body.
"""

import contextlib
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import uuid
import venv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from shutil import which
from typing import Any

import httpx

from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.processes import wait_until
from scripts.tools.testbed.testbed import Testbed
from scripts.tools.testbed.toml_values import with_values
from tests.support.testbeds import ACCOUNT, journal, work_order

PROGRAMS = Path(__file__).parent / "clients"
CALLS = ("query", "refused", "command", "again", "invalid", "unauthenticated", "status")
STATUS = {
    "query": 200,
    "refused": 200,
    "command": 200,
    "again": 200,
    "invalid": 422,
    "unauthenticated": 401,
    "status": 200,
}
TRANSPORTS = ("HTTP", "HTTPS")
AXIOS = "1.21.1"
OPENAPI_FETCH, OPENAPI_TYPESCRIPT = "0.17.0", "7.13.0"
OPENAPI_PYTHON_CLIENT = "0.29.1"


class Unavailable(Exception):
    """A client cannot be had on this machine; the text says why."""


@dataclass(frozen=True)
class Client:
    """A client program."""

    name: str
    command: Callable[[Path], list[str]]
    """What to run; the folder is where `prepare` put things."""
    needs: tuple[str, ...] = ()
    """Commands that must be there."""
    prepare: Callable[[Path], None] = lambda _: None
    """Compile or install. Raises Unavailable."""
    in_short: bool = True
    """Whether the tests have it too: of those that download something they have one."""
    generate: Callable[[Path, Path], None] | None = None
    """Make the client of the OpenAPI document in a file, and check its types. Raises Unavailable."""
    version: Callable[[Path], str] = lambda _: ""
    environment: Callable[[Path], Mapping[str, str]] = field(default=lambda _: {})


def do(*command: str | Path, cwd: Path | None = None, seconds: float = 300, **environment: str) -> str:
    """Run a step of a preparation; its output. Raises Unavailable with the last line of what went wrong."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{words[0]}: {type(error).__name__}") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [""]
        raise Unavailable(f"`{' '.join(words[:3])} …` failed: {lines[0][:200]}")
    return done.stdout or done.stderr


# --- the clients -------------------------------------------------------------------------------------------------


def _python(name: str, package: str) -> Client:
    module = f"tests.interop.clients.python.with_{name}"
    return Client(name, lambda _: [sys.executable, "-m", module], version=lambda _: metadata.version(package))


def _first_word_of(*command: str, word: int) -> Callable[[Path], str]:
    return lambda _: do(*command).split()[word].strip('"')


def _compile_jdk(cache: Path) -> None:
    _javac(cache / "jdk", (), "java/Jdk.java")


def _javac(classes: Path, libraries: tuple[str, ...], *sources: str) -> None:
    classes.mkdir(parents=True, exist_ok=True)
    paths = [PROGRAMS / "java" / "Calls.java", *(PROGRAMS / source for source in sources)]
    do("javac", *(("-cp", *libraries) if libraries else ()), "-d", classes, *paths)


def _maven(folder: str, main: str, artifact: str) -> Client:
    def prepare(cache: Path) -> None:
        libraries = cache / "java-lib"
        if not list(libraries.glob("spring-web-*.jar")):
            pom = PROGRAMS / "java" / "pom.xml"
            do("mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={libraries}")
        _javac(cache / folder, (f"{libraries}/*",), "java/Jdk.java", f"{folder}/{main}.java")

    def version(cache: Path) -> str:
        return next((cache / "java-lib").glob(f"{artifact}-[0-9]*.jar")).stem.removeprefix(f"{artifact}-")

    def command(cache: Path) -> list[str]:
        return ["java", "-cp", f"{cache / folder}:{cache / 'java-lib'}/*", main]

    return Client(_NAMES[folder], command, ("mvn", "javac", "java"), prepare, in_short=False, version=version)


_NAMES = {"okhttp": "OkHttp", "apache": "Apache HttpClient", "spring": "Spring RestClient on the JDK's"}


def npm_install(folder: Path, *packages: str) -> Path:
    """Install packages, unless they are there; their `node_modules`. Raises Unavailable."""
    if which("npm") is None:
        raise Unavailable("npm is not installed")
    done = folder / "installed"
    if not done.exists() or done.read_text() != " ".join(packages):
        folder.mkdir(parents=True, exist_ok=True)
        quiet = ["--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        do("npm", "install", "--prefix", folder, *quiet, *packages)
        done.write_text(" ".join(packages))
    return folder / "node_modules"


def _node_is_new(_: Path) -> None:
    if do("node", "-p", "typeof fetch").strip() != "function":
        raise Unavailable("this Node has no fetch")


def _build_go(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    environment: dict[str, Any] = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    do("go", "build", "-o", cache / "go-client", ".", cwd=PROGRAMS / "go", **environment)


def _install_axios(cache: Path) -> None:
    npm_install(cache / "npm", f"axios@{AXIOS}")


def _install_typescript(cache: Path) -> None:
    folder = cache / "typescript"
    packages = (f"openapi-fetch@{OPENAPI_FETCH}", f"openapi-typescript@{OPENAPI_TYPESCRIPT}")
    npm_install(folder, *packages, "typescript@5.9.3", "@types/node@20.19.43")
    for name in ("main.mts", "tsconfig.json"):
        shutil.copy(PROGRAMS / "generated" / name, folder)


def _generate_typescript(cache: Path, document: Path) -> None:
    folder = cache / "typescript"
    programs = folder / "node_modules" / ".bin"
    do(programs / "openapi-typescript", document, "-o", folder / "api.d.ts")
    do(programs / "tsc", "--project", folder)


def _install_python_client(cache: Path) -> None:
    folder = cache / "python-client"
    done = folder / "installed"
    if not done.exists() or done.read_text() != OPENAPI_PYTHON_CLIENT:
        venv.create(folder / "venv", clear=True, with_pip=True)
        pip = (folder / "venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
        do(*pip, "install", f"openapi-python-client=={OPENAPI_PYTHON_CLIENT}")
        done.write_text(OPENAPI_PYTHON_CLIENT)


def _generate_python_client(cache: Path, document: Path) -> None:
    folder = cache / "python-client"
    python = folder / "venv" / "bin" / "python"
    options = ("--meta=none", "--overwrite", "--fail-on-warning")
    settings = PROGRAMS / "generated" / "openapi-python-client.yaml"
    package = folder / "generated" / "dmz_bridge_client"
    package.parent.mkdir(exist_ok=True)
    generate = (python.with_name("openapi-python-client"), "generate", *options)
    do(*generate, f"--config={settings}", f"--path={document}", f"--output-path={package}")
    # of what was generated no more than its use: mypy finds fault with variables in it that have two types
    strict = ("--strict", "--follow-imports=silent", "--config-file=", f"--cache-dir={folder / 'mypy'}")
    program = PROGRAMS / "generated" / "with_models.py"
    do(sys.executable, "-m", "mypy", *strict, f"--python-executable={python}", program, MYPYPATH=str(package.parent))


def _php_has_curl(_: Path) -> None:
    if "curl" not in do("php", "-m").split():
        raise Unavailable("PHP has no curl extension (Debian: php-curl)")


CLIENTS = (
    _python("requests", "requests"),
    _python("httpx", "httpx"),
    _python("aiohttp", "aiohttp"),
    Client(
        "curl --http2",
        lambda _: [sys.executable, "-m", "tests.interop.clients.python.with_curl"],
        ("curl",),
        version=_first_word_of("curl", "--version", word=1),
    ),
    Client(
        "JDK HttpClient",
        lambda cache: ["java", "-cp", str(cache / "jdk"), "Jdk"],
        ("javac", "java"),
        _compile_jdk,
        version=_first_word_of("java", "-version", word=2),
    ),
    Client(
        "Node fetch",
        lambda _: ["node", str(PROGRAMS / "node" / "fetch.cjs")],
        ("node",),
        _node_is_new,
        version=_first_word_of("node", "--version", word=0),
    ),
    Client(
        "Go net/http",
        lambda cache: [str(cache / "go-client")],
        ("go",),
        _build_go,
        version=_first_word_of("go", "version", word=2),
    ),
    _maven("spring", "Spring", "spring-web"),
    _maven("okhttp", "OkHttp", "okhttp-jvm"),
    _maven("apache", "Apache", "httpclient5"),
    Client(
        "axios",
        lambda _: ["node", str(PROGRAMS / "axios" / "main.cjs")],
        ("node", "npm"),
        _install_axios,
        in_short=False,
        version=lambda _: AXIOS,
        environment=lambda cache: {"NODE_PATH": str(cache / "npm" / "node_modules")},
    ),
    Client(
        "PHP curl",
        lambda _: ["php", str(PROGRAMS / "php" / "main.php")],
        ("php",),
        _php_has_curl,
        in_short=False,
        version=_first_word_of("php", "--version", word=1),
    ),
    Client(
        "openapi-fetch, generated",
        lambda cache: ["node", str(cache / "typescript" / "built" / "main.mjs")],
        ("node", "npm"),
        _install_typescript,
        version=lambda _: OPENAPI_FETCH,
        generate=_generate_typescript,
    ),
    Client(
        "openapi-python-client, generated",
        lambda cache: [
            str(cache / "python-client" / "venv" / "bin" / "python"),
            str(PROGRAMS / "generated" / "with_models.py"),
        ],
        prepare=_install_python_client,
        in_short=False,
        version=lambda _: OPENAPI_PYTHON_CLIENT,
        environment=lambda cache: {"PYTHONPATH": str(cache / "python-client" / "generated")},
        generate=_generate_python_client,
    ),
)


def ready(client: Client, cache: Path) -> None:
    """Make a client ready to run. Raises Unavailable."""
    for command in client.needs:
        if which(command) is None:
            raise Unavailable(f"{command} is not installed")
    client.prepare(cache)


# --- the installation --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def transport(testbed: Testbed, name: str) -> Iterator[dict[str, str]]:
    """The front of a running testbed, over this transport; yields what a client finds in its environment."""
    if name == "HTTP":
        yield {"INTEROP_URL": testbed.front_url, "INTEROP_KEY": testbed.app_key}
        return
    ca, certificate, key = _certificate(testbed.folder / "https")
    file = testbed.config / "dmz_front.toml"
    plain = file.read_text(encoding="utf-8")
    testbed.stop("front")
    try:
        file.write_text(with_values(plain, {"http.certificate": str(certificate), "http.key": str(key)}))
        testbed.start("front", wait=False)
        url = testbed.front_url.replace("http:", "https:")
        context = ssl.create_default_context(cafile=str(ca))
        log = testbed.logs / "front.log"
        wait_until(lambda: _is_ready(url, context), 60, "the front over HTTPS", testbed.pids["front"], log)
        yield {
            "INTEROP_URL": url,
            "INTEROP_KEY": testbed.app_key,
            "INTEROP_CA": str(ca),
            "NODE_EXTRA_CA_CERTS": str(ca),
        }
    finally:
        testbed.stop("front")
        file.write_text(plain, encoding="utf-8")
        testbed.start("front")


def _is_ready(url: str, context: ssl.SSLContext) -> bool:
    try:
        return httpx.get(f"{url}/readyz", verify=context, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _certificate(folder: Path) -> tuple[Path, Path, Path]:
    """An authority's certificate, and a server's certificate and key of it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    ca, ca_key, certificate, key = (folder / name for name in ("ca.pem", "ca.key", "front.pem", "front.key"))
    new = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    do(*new, "-keyout", ca_key, "-out", ca, "-subj", "/CN=an authority for tests")
    more = ["subjectAltName=IP:127.0.0.1,DNS:localhost", "basicConstraints=critical,CA:FALSE"]
    more += ["extendedKeyUsage=serverAuth"]
    extensions = [word for one in more for word in ("-addext", one)]
    signer = ["-CA", str(ca), "-CAkey", str(ca_key)]
    do(*new, *signer, *extensions, "-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1")
    return ca, certificate, key


# --- the calls ---------------------------------------------------------------------------------------------------


def run(client: Client, cache: Path, environment: Mapping[str, str], testbed: Testbed) -> dict[str, str]:
    """Make the calls: for each, what is wrong with its answer, or nothing."""
    try:
        _generated(client, cache, environment)
    except Unavailable as reason:
        return dict.fromkeys(CALLS, f"not generated: {reason}")
    order = work_order(content=f"家里没电了，“请派人”检修 {client.name}")
    asked = {"account": ACCOUNT, "first_month": "2026-04", "last_month": "2026-06"}
    key = str(uuid.uuid4())
    lines = (
        ("query", "POST", "/v1/bill-query", "1", "", _json(asked)),
        ("refused", "POST", "/v1/bill-query", "1", "", _json(asked | {"account": "9999999999999"})),
        ("command", "POST", "/v1/work-order", "1", key, _json(order)),
        ("again", "POST", "/v1/work-order", "1", key, _json(order)),
        ("invalid", "POST", "/v1/bill-query", "1", "", _json(asked | {"account": "三"})),
        ("unauthenticated", "POST", "/v1/bill-query", "0", "", _json(asked)),
        ("status", "GET", "/v1/requests/{id}", "1", "", ""),
    )
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    try:
        done = subprocess.run(
            client.command(cache),
            input="".join("\t".join(line) + "\n" for line in lines).encode(),
            env={**kept, **client.environment(cache), **environment},
            cwd=ROOT,
            capture_output=True,
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return dict.fromkeys(CALLS, "no end after 120 s")
    answers: dict[str, tuple[int, Any]] = {}
    for line in done.stdout.decode().splitlines():
        answer = json.loads(line)
        with contextlib.suppress(ValueError):
            answer["body"] = json.loads(answer["body"])
        answers[answer["call"]] = answer["status"], answer["body"]
    said = done.stderr.decode(errors="replace").strip().splitlines()
    found = {call: wrong(call, answers) if call in answers else f"no answer: {said[-1:]}" for call in CALLS}
    if not found["command"]:
        applied = [entry["applied"] for entry in journal(testbed, answers["command"][1]["request_id"])]
        found["again"] = found["again"] or ("" if applied == [1] else f"applied {applied}")
    return found


def _generated(client: Client, cache: Path, environment: Mapping[str, str]) -> None:
    """Make the client of the document that the front serves, unless that was done. Raises Unavailable."""
    if client.generate is None:
        return
    context = ssl.create_default_context(cafile=environment.get("INTEROP_CA"))
    answer = httpx.get(f"{environment['INTEROP_URL']}/openapi.json", verify=context, trust_env=False)
    made_of = hashlib.sha256(answer.raise_for_status().content + client.version(cache).encode())
    for file in sorted((PROGRAMS / "generated").iterdir()):
        made_of.update(file.read_bytes())
    done = cache / f"{client.name}.generated"
    if not done.exists() or done.read_text() != made_of.hexdigest():
        document = cache / f"{client.name}.json"
        document.write_bytes(answer.content)
        client.generate(cache, document)
        done.write_text(made_of.hexdigest())


def wrong(call: str, answers: Mapping[str, tuple[int, Any]]) -> str:
    """What is wrong with the answer to a call; empty if nothing is."""
    status, body = answers[call]
    if status != STATUS[call]:
        return f"{status}: {str(body)[:160]}"
    told: dict[str, Callable[[], bool]] = {
        "query": lambda: body["status"] == "succeeded" and len(body["result"]["bills"]) == 3,
        "refused": lambda: body["status"] == "refused" and body["refusal"]["code"] == "no-such-account",
        "command": lambda: body["status"] == "succeeded" and bool(body["result"]["work_order"]),
        "again": lambda: bool(body == answers["command"][1]),
        "invalid": lambda: body["code"] == "invalid-request" and body["errors"][0]["field"] == "account",
        "unauthenticated": lambda: bool(body["code"] == "unauthenticated"),
        "status": lambda: body["status"] == "succeeded" and body["result"] == answers["command"][1]["result"],
    }
    try:
        return "" if told[call]() else f"the body is {str(body)[:160]}"
    except (KeyError, TypeError, IndexError):
        return f"the body is {str(body)[:160]}"


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False)
