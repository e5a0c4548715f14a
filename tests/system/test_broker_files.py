"""What must stay true of activemq/ whoever edits it: one port, mutual TLS, nothing granted beyond the table."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

ACTIVEMQ = Path(__file__).resolve().parents[2] / "activemq"
AMQ = "{http://activemq.apache.org/schema/core}"
CONFIGURATION = ET.parse(ACTIVEMQ / "activemq.xml").getroot()
(BROKER,) = CONFIGURATION.findall(f"{AMQ}broker")
(RIGHTS,) = CONFIGURATION.iter(f"{AMQ}authorizationMap")

SEERS = {"monitor", "operator"}
GRANTS = {  # destination: (write, read, create)
    "bridge.query.>": ({"front"}, {"bridge"}, {"front", "bridge"}),
    "bridge.command.>": ({"front", "operator"}, {"bridge"}, {"front", "bridge"}),
    "bridge.reply.query.>": ({"bridge", "operator"}, set(), {"bridge"}),
    "bridge.reply.command.>": ({"bridge", "operator"}, {"shared-ledger"}, {"bridge", "shared-ledger"}),
    "bridge.reply.*.front-1": (set(), {"front-1"}, {"front-1"}),
    "bridge.reply.*.front-2": (set(), {"front-2"}, {"front-2"}),
    "bridge.file.>": ({"front"}, {"bridge"}, {"front", "bridge"}),
    "front.file.>": ({"bridge"}, set(), {"bridge"}),
    "front.file.front-1": (set(), {"front-1"}, {"front-1"}),
    "front.file.front-2": (set(), {"front-2"}, {"front-2"}),
    "front.submit.>": ({"bridge"}, set(), {"bridge"}),
    "front.submit.front-1": (set(), {"front-1"}, {"front-1"}),
    "front.submit.front-2": (set(), {"front-2"}, {"front-2"}),
    "bridge.presence.>": ({"bridge"}, {"front"} | SEERS, {"front", "bridge"}),
    "DLQ.bridge.query.>": ({"bridge", "operator"}, {"operator"}, {"bridge", "operator"}),
    "DLQ.bridge.command.>": ({"bridge", "operator"}, {"operator"}, {"bridge", "operator"}),
    "DLQ.bridge.file.>": ({"bridge", "operator"}, {"operator"}, {"bridge", "operator"}),
    "DLQ.front.file.>": ({"front", "operator"}, {"operator"}, {"front", "operator"}),
    "DLQ.front.submit.>": ({"front", "operator"}, {"operator"}, {"front", "operator"}),
    "DLQ.bridge.reply.>": ({"front", "operator"}, {"operator"}, {"front", "operator"}),
    "ActiveMQ.Statistics.>": (SEERS, SEERS, SEERS),
    "bridge.admin.>": (SEERS, SEERS, SEERS),
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
    for entry in RIGHTS.iter(f"{AMQ}authorizationEntry"):
        name = entry.get("queue") or entry.get("topic")
        granted[name] = tuple(
            set(filter(None, entry.get(right, "").split(","))) for right in ("write", "read", "admin")
        )
        assert ("front-" in str(name)) == (entry.get("groupClass") == "org.apache.activemq.jaas.UserPrincipal"), name
    assert granted == GRANTS
    (temporary,) = (e for e in RIGHTS.iter(f"{AMQ}tempDestinationAuthorizationEntry") if e.attrib)
    assert set(temporary.attrib.values()) == {"nobody"}


def test_rights_are_looked_at_before_statistics_and_behind() -> None:
    """The first stands innermost: what statistics answer goes through it, what is asked of them through the last."""
    (plugins,) = BROKER.iter(f"{AMQ}plugins")
    assert [one.tag.removeprefix(AMQ) for one in plugins] == [
        "authorizationPlugin", "statisticsBrokerPlugin", "jaasCertificateAuthenticationPlugin", "authorizationPlugin",
    ]  # fmt: skip
    assert {one.get("map") for one in plugins if one.tag == f"{AMQ}authorizationPlugin"} == {f"#{RIGHTS.get('id')}"}


def test_a_subject_has_one_role() -> None:
    users = {}
    for line in (ACTIVEMQ / "users.properties").read_text().splitlines():
        if line and not line.startswith("#"):
            user, pattern = (part.strip() for part in line.split("=", 1))
            users[user] = re.compile(pattern.strip("/"))
    owned = {"front-1": ("front-1", "front"), "front-2": ("front-2", "front")}
    assert set(users) == {*owned, "bridge", "monitor", "operator"}
    for user in users:
        name, role = owned.get(user, ("a-1", user))
        for subject in (f"CN={name}, OU={role}, O=dmz-bridge", f"O=dmz-bridge,OU={role},CN={name}"):
            assert [user for user, pattern in users.items() if pattern.fullmatch(subject)] == [user]
    for stranger in (
        "CN=a-1, OU=broker, O=dmz-bridge",
        "CN=front-9, OU=front, O=dmz-bridge",
        "CN=front-1, OU=bridge2, O=dmz-bridge",
        "CN=front-1, OU=front, O=other",
        "CN=front-1, OU=front, OU=operator, O=dmz-bridge",
        'CN="x, OU=operator", OU=front, O=dmz-bridge',
    ):
        assert not [user for user, pattern in users.items() if pattern.fullmatch(stranger)]


def test_no_secret_is_in_the_configuration() -> None:
    for file in ACTIVEMQ.iterdir():
        if file.is_file():
            assert not re.search(r"[pP]assword\s*=\s*\"(?!#storePassword)", file.read_text()), file
