"""Times to publish and to withdraw, as people write them: by the clocks of China."""

from datetime import datetime

from intranet_bridge.content.kinds import Complaint, Unfit, moment
from protocol.times import CHINA


def moment_ms(name: str, text: str) -> int | None:
    """Epoch ms of 2026-07-24 08:00[:00] or 2026-07-24T08:00; None for nothing. Raises Unfit naming the field."""
    if not text.strip():
        return None
    try:
        found = datetime.strptime(moment(text.strip()), "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
    except ValueError:
        raise Unfit([Complaint(name, "a time is written YYYY-MM-DD hh:mm, for example 2026-03-31 09:30")]) from None
    return int(found.timestamp() * 1000)
