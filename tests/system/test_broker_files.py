"""What must stay true of activemq/ whoever edits it: one port, mutual TLS, nothing granted beyond the table."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

ACTIVEMQ = Path(__file__).resolve().parents[2] / "activemq"
AMQ = "{http://activemq.apache.org/schema/core}"
(BROKER,) = ET.parse(ACTIVEMQ / "activemq.xml").getroot().findall(f"{AMQ}broker")

GRANTS = {  # destination: (write, read, create)
    "bridge.query.>": ({"front"}, {"bridge", "admin"}, {"front", "bridge"}),
    "bridge.command.>": ({"front", "admin"}, {"bridge", "admin"}, {"front", "bridge"}),
    "bridge.reply.query.>": ({"bridge", "admin"}, {"front", "admin"}, {"front", "bridge"}),
    "bridge.reply.command.>": ({"bridge", "admin"}, {"front", "admin"}, {"front", "bridge"}),
    "bridge.presence.>": ({"bridge"}, {"front", "admin"}, {"front", "bridge"}),
    "DLQ.bridge.query.>": ({"bridge", "admin"}, {"admin"}, {"bridge", "admin"}),
    "DLQ.bridge.command.>": ({"bridge", "admin"}, {"admin"}, {"bridge", "admin"}),
    "DLQ.bridge.reply.>": ({"front", "admin"}, {"admin"}, {"front", "admin"}),
    "ActiveMQ.Statistics.>": ({"admin"}, {"admin"}, {"admin"}),
    "bridge.admin.>": ({"admin"}, {"admin"}, {"admin"}),
}


def test_one_connector_with_mutual_tls() -> None:
    (connector,) = BROKER.iter(f"{AMQ}transportConnector")
    uri = connector.get("uri", "")
    assert uri.startswith("stomp+ssl://")
    assert "transport.needClientAuth=true" in uri
    assert "transport.enabledProtocols=TLSv1.3,TLSv1.2" in uri
    assert "maximumConnections=" in uri
    assert BROKER.get("useJmx") == "false"
    assert BROKER.get("schedulerSupport") == "false"


def test_rights_are_the_table_and_nothing_else() -> None:
    granted = {}
    for entry in BROKER.iter(f"{AMQ}authorizationEntry"):
        name = entry.get("queue") or entry.get("topic")
        granted[name] = tuple(set(entry.get(right, "").split(",")) for right in ("write", "read", "admin"))
    assert granted == GRANTS
    (temporary,) = (e for e in BROKER.iter(f"{AMQ}tempDestinationAuthorizationEntry") if e.attrib)
    assert set(temporary.attrib.values()) == {"nobody"}


def test_a_subject_has_one_role() -> None:
    users = {}
    for line in (ACTIVEMQ / "users.properties").read_text().splitlines():
        if line and not line.startswith("#"):
            user, pattern = (part.strip() for part in line.split("=", 1))
            users[user] = re.compile(pattern.strip("/"))
    assert set(users) == {"front", "bridge", "admin"}
    for role in users:
        for subject in (f"CN=a-1, OU={role}, O=dmz-bridge", f"O=dmz-bridge,OU={role},CN=a-1"):
            assert [user for user, pattern in users.items() if pattern.fullmatch(subject)] == [role]
    for stranger in (
        "CN=a-1, OU=broker, O=dmz-bridge",
        "CN=a-1, OU=front, O=other",
        "CN=a-1, OU=front, OU=admin, O=dmz-bridge",
        'CN="x, OU=admin", OU=front, O=dmz-bridge',
    ):
        assert not [user for user, pattern in users.items() if pattern.fullmatch(stranger)]


def test_no_secret_is_in_the_configuration() -> None:
    for file in ACTIVEMQ.iterdir():
        if file.is_file():
            assert not re.search(r"[pP]assword\s*=\s*\"(?!#storePassword)", file.read_text()), file
