"""docs/reference/problems.md: in Chinese as the front says it."""

from dmz_front.problems.chinese import CHINESE
from dmz_front.problems.codes import CODES
from protocol.operations import Kind
from scripts.tools.reference.markdown import code, page, table
from scripts.tools.reference.wording import Say, english

_INTRODUCTION = """
Codes of problems (RFC 9457, `type` is `/problems/CODE`) and of the `failure` of a command's status document. The
front serves the same at `/problems`. Refusals are the marketing system's business answers, and are listed with each
operation in the front's `/docs`.

"""


def problems_page(say: Say) -> str:
    """The page."""
    rows = (
        (code(name), _statuses(one.statuses, say), _kinds(one.kinds, say), *_told(name, say))
        for name, one in CODES.items()
    )
    heads = map(say, ("code", "status", "of", "title", "meaning", "what to do"))
    return page(say("Problems"), say(_INTRODUCTION), table(heads, rows))


def _told(name: str, say: Say) -> tuple[str, str, str]:
    if say is not english and name in CHINESE:
        return CHINESE[name]
    return CODES[name].title, CODES[name].meaning, CODES[name].remedy


def _statuses(statuses: tuple[int, ...], say: Say) -> str:
    return ", ".join(map(str, statuses)) or say("status document")


def _kinds(kinds: tuple[Kind, ...], say: Say) -> str:
    names = {Kind.QUERY: "queries", Kind.COMMAND: "commands"}
    return say(" and ".join(names[one] for one in kinds) or "other requests")
