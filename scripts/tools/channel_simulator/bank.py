"""A bank that collects bills: it answers a withholding request, line by line, in the layout of answers.

The layout is written down here once more, not taken from the bridge: `count|total|okCount|okTotal|day|bank|inTransit|`,
then each line as it was asked, with the day, what was debited, whether it was, the bank's number and its words.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from scripts.tools.channel_simulator.book import BookError

_ENCODING = "gb18030"
_ASKED = 11
"""Fields of a line of the request."""
_TOTAL = 9
"""The one that says what is to be charged."""


def answer(name: str, request: bytes, day: date, refused: Mapping[str, str]) -> tuple[str, bytes]:
    """Name and bytes of the answer to a request file: all is charged on that day but what is refused (`detId` → why).

    Raises BookError for what is no request, or a refused line that is not in it.
    """
    org, word, rest = [*name.split("_", 2), "", ""][:3]
    header, *lines = request.decode(_ENCODING).splitlines()
    about = header.split("|")
    asked = {line.partition("|")[0]: line for line in lines}
    if word != "DKKK" or len(about) != 6 or len(asked) != int(about[0]):
        raise BookError(f"{name} is no withholding request")
    if unknown := refused.keys() - asked.keys():
        raise BookError(f"{name} has no line {min(unknown)}")
    rows, charged = [], Decimal(0)
    for number, (id, line) in enumerate(asked.items(), 1):
        fields = line.split("|")
        if len(fields) != _ASKED + 1:
            raise BookError(f"{name}: line {id} has not {_ASKED} fields")
        if id in refused:
            said = (f"{day:%Y%m%d}", "0.00", "0", "", refused[id])
        else:
            charged += Decimal(fields[_TOTAL])
            said = (f"{day:%Y%m%d}", fields[_TOTAL], "1", f"{day:%Y%m%d}22001400{number:014}", "")
        rows.append("|".join((*fields[:_ASKED], *said, "")))
    count, total, *others = about
    first = "|".join((count, total, str(len(asked) - len(refused)), f"{charged:.2f}", *others))
    return f"{org}_REDKKK_{rest}", "".join(f"{row}\r\n" for row in (first, *rows)).encode(_ENCODING)
