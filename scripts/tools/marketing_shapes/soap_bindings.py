"""The example bindings of the SOAP face, config/examples/soap/, made of the shipped JSON ones: it is the same business.

Line by line, so that layout and comments stay: a path is an operation of the WSDL, `data` is `return`, and a code of
refusal is a fault's.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from scripts.tools.marketing_simulator.faces.wsdl import operation_name

SHIPPED = Path(__file__).parents[3] / "config" / "bindings"
EXAMPLES = SHIPPED.parent / "examples" / "soap"
INVALID_FILE = '"rtnCode=1072" = "invalid-attachment"'
FILES = "attachments[*].reference"
_PATH = re.compile(r'path = "(/api/[A-Za-z/]+)"(.*)')
_REFUSAL = re.compile(
    r"""refusal = \{ when = "rtnCode != '0000'(?: \|\| data\.(?P<also>[^"]+))?", code = "rtnCode","""
    r""" detail = "rtnMsg", codes = \{ (?P<codes>.*) \} \}"""
)
_CODE = re.compile(r'"(\w+)" = ("[a-z0-9-]+")')
POINTER = ("How bindings are written: intranet_bridge.toml.", "Over SOAP: docs/adapters/soap.md.")
_KEYS = {
    "path", "request", "response", "request_id", "refusal", "values", "inquire", "timeout_s", "settle_s",
    "attachments", "found", "not_found",
}  # fmt: skip


class TranslationError(Exception):
    """A shipped binding has what is not translated here."""


def soap_bindings() -> Iterator[tuple[Path, str]]:
    """Every file but system.toml, which is written by hand. Raises TranslationError."""
    for file in sorted(SHIPPED.glob("*.toml")):
        text = file.read_text(encoding="utf-8")
        for name, table in tomllib.loads(text)["operations"].items():
            unknown = {*table, *table.get("inquire", {})} - _KEYS
            if unknown:
                raise TranslationError(f"{file.name}: {name} has {', '.join(sorted(unknown))}")
        yield EXAMPLES / file.name, "\n\n".join(_paragraphs(text)) + "\n"


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.rstrip("\n").split("\n\n"):
        if re.match(r"\[operations\.\S+\.attachments\]", paragraph):
            continue
        yield _paragraph(paragraph)


def _paragraph(text: str) -> str:
    names_files = FILES in text
    lines: list[str] = []
    for line in text.splitlines():
        if match := _PATH.fullmatch(line):
            line = f'operation = "{operation_name(match[1])}"{match[2]}'
        elif line.startswith("refusal = "):
            line = _faults(line, names_files=names_files)
        elif line.startswith(("response = ", "request_id = ")):
            line = line.replace("data.", "return.", 1)
        elif line == "found = \"rtnCode == '0000'\"":
            line = "found = \"return.reqId != ''\""
        elif line == "not_found = \"rtnCode == '1010'\"":
            line = 'faults = { "rtnCode=1010" = "not_found" }'
        elif FILES in line:  # JMESPath has no comments: it is said above the table
            line = line.replace(FILES, "attachments")
            lines.insert(0, "# Files are not handed over by this adapter: a request that names some is refused.")
        lines.append(
            line.replace("How bindings are written: intranet_bridge.toml.", "Over SOAP: docs/adapters/soap.md.")
        )
    result = "\n".join(lines)
    if "/api/" in result or "rtnCode !=" in result or "'0000'" in result.replace("code = \"'0000'\"", ""):
        raise TranslationError(f"not understood: {text}")
    return result


def _faults(line: str, *, names_files: bool) -> str:
    match = _REFUSAL.fullmatch(line)
    if match is None:
        raise TranslationError(f"not understood: {line}")
    codes = dict(_CODE.findall(match["codes"]))
    lines = []
    if also := match["also"]:  # an answer that is a no of ours
        told = codes.pop("0000")
        lines.append(f'refusal = {{ when = "return.{also}", code = "\'0000\'", codes = {{ "0000" = {told} }} }}')
    faults = [f'"rtnCode={code}" = {ours}' for code, ours in codes.items()] + [INVALID_FILE] * names_files
    return "\n".join([*lines, f"faults = {{ {', '.join(faults)} }}"])
