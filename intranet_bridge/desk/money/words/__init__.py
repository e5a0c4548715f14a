"""What the pages of money say, in English and Chinese. What stands for a code begins with the kind of it."""

from collections.abc import Mapping

from intranet_bridge.desk.money.words import clearing, files, matching, orders, withholding

_ROOMS = (files, matching, orders, withholding, clearing)
_CODES = {code: said for room in _ROOMS for code, said in room.CODES.items()}
CHINESE: Mapping[str, str] = {
    **{code: chinese for code, (_, chinese) in _CODES.items()},
    **{text: chinese for room in _ROOMS for text, chinese in room.CHINESE.items()},
}
ENGLISH: Mapping[str, str] = {code: english for code, (english, _) in _CODES.items()}
