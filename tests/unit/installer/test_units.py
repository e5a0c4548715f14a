"""Unit files are read as systemd reads them, as far as a start needs it."""

from scripts.tools.installer.units import Unit, seconds

TEXT = """[Service]
# User=commented
User=dmz-front
LoadCredential=front.key:/etc/dmz-bridge/certs/front.key
LoadCredential=keyring:/etc/dmz-bridge/keys/front.keyring
Environment="A=one two" B=%t/x
ExecStart=-/opt/bin/prog --config ${CREDENTIALS_DIRECTORY}/c \\
  --state %S/d --share 100%%
ExecStartPre=/bin/first
ExecStartPre=
ExecStartPre=/bin/second "a b"
"""


def test_what_a_start_needs_is_read() -> None:
    unit = Unit.read("dmz-front.service", TEXT)
    assert unit.user == "dmz-front"
    assert unit.credentials == {
        "front.key": "/etc/dmz-bridge/certs/front.key",
        "keyring": "/etc/dmz-bridge/keys/front.keyring",
    }
    assert unit.command("ExecStart", "/run/c") == [
        ["/opt/bin/prog", "--config", "/run/c/c", "--state", "/var/lib/d", "--share", "100%"]
    ]
    assert unit.command("ExecStartPre", "") == [["/bin/second", "a b"]], "an empty value takes back those before it"
    assert unit.environment("") == {"A": "one two", "B": "/run/x"}


def test_a_dynamic_user_is_not_to_be_made() -> None:
    assert Unit.read("x", "DynamicUser=yes\nUser=dmz-front\n").user == ""


def test_times() -> None:
    assert [seconds(text, 7) for text in ("30", "45s", "2min", "500ms", "infinity")] == [30, 45, 120, 0.5, 7]
