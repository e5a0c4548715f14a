"""docs/reference/problems.md."""

from dmz_front.problems.chinese import CHINESE
from dmz_front.problems.codes import CODES
from protocol.operations import Kind
from scripts.tools.reference.markdown import MADE, code, table

_INTRODUCTION = """
Codes of problems (RFC 9457, `type` is `/problems/CODE`) and of the `failure` of a command's status document. The
front serves the same at `/problems`. Refusals are the marketing system's business answers, and are listed with each
operation in the front's `/docs`.

"""


def problems_page() -> str:
    """The page."""
    rows = (
        (code(name), _statuses(one.statuses), _kinds(one.kinds), one.title, one.meaning, one.remedy)
        for name, one in CODES.items()
    )
    chinese = ((code(name), _statuses(CODES[name].statuses), *CHINESE[name]) for name in CODES if name in CHINESE)
    return (
        f"# Problems\n\n{MADE}{_INTRODUCTION}"
        + table(("code", "status", "of", "title", "meaning", "what to do"), rows)
        + "\n## 中文\n\n"
        + table(("代码", "状态", "标题", "含义", "处理"), chinese)
    )


def _statuses(statuses: tuple[int, ...]) -> str:
    return ", ".join(map(str, statuses)) or "status document"


def _kinds(kinds: tuple[Kind, ...]) -> str:
    names = {Kind.QUERY: "queries", Kind.COMMAND: "commands"}
    return " and ".join(names[one] for one in kinds) or "other requests"
