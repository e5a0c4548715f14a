"""What a daemon does not answer at all: the setting that is missing is named, not the list of what is answered."""

from pathlib import Path
from typing import Any

import pytest

from bridgectl import daemons
from bridgectl.control import NotAnswered
from protocol.messages import Role


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("files", r"\[files\] enabled in .*intranet_bridge.toml, and a restart of intranet-bridge"),
        ("resend-file", r"\[files\] enabled"),
        ("settle-items", r"\[settlement.statements.files\]"),
        ("clearing-list", r"\[settlement.clearing.channels\]"),
        ("report", "another release; systemctl restart intranet-bridge"),
    ],
)
def test_what_is_not_turned_on_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str, said: str
) -> None:
    def unanswered(*_: Any, **__: Any) -> Any:
        raise NotAnswered("not a question this daemon answers; it answers: audit")

    monkeypatch.setattr(daemons, "ask", unanswered)
    configuration = tmp_path / "intranet_bridge.toml"
    configuration.write_text('[control]\nsocket = "bridge.sock"\n')
    with pytest.raises(NotAnswered, match=said) as refused:
        daemons.tell(Role.BRIDGE, configuration, question)
    assert "it answers" not in str(refused.value)
