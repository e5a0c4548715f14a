"""Everything doctor looks at, in the order an operator reads it. Decides nothing but what there is to look at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bridgectl.doctor import broker, clocks, files, health, installation, listeners, marketing, one_way
from bridgectl.doctor.finding import Finding, Status
from bridgectl.doctor.installation import Installation, View
from bridgectl.language import tr
from bridgectl.programs import CONFIGURATIONS, PROGRAMS
from bridgectl.settings import ControlSettings, DoctorSection
from bridgectl.stores import from_store
from protocol.errors import BridgeError, ConfigurationError
from protocol.files import read_bytes
from protocol.keyring import Keyring
from protocol.messages import Role
from protocol.runtime import region_inbox
from protocol.runtime.clock import wall_clock
from protocol.runtime.settings import LinkSection, load

_LOGS = Path("/var/log")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator asked for, beyond the settings."""

    control: Path
    """bridgectl.toml; it may be missing."""
    role: Role | None = None
    """None: whichever has a configuration file here."""
    front_config: Path | None = None
    bridge_config: Path | None = None
    inward: tuple[str, ...] = ()


def examine(wish: Wish) -> Iterator[Finding]:
    """Look at everything; findings as they come. Never raises for what it finds."""
    settings, problem = _control(wish.control)
    if problem is not None:
        yield problem
    doctor = settings.doctor
    installations = _installations(wish, doctor)
    if not installations:
        seen = tr(
            "neither {front} nor {bridge} is there",
            front=CONFIGURATIONS[Role.FRONT],
            bridge=CONFIGURATIONS[Role.BRIDGE],
        )
        action = tr("give --front-config or --bridge-config, or set [doctor] front_config or bridge_config")
        yield Finding("configuration", str(wish.control.parent), Status.FAIL, seen, action)
    for one in installations:
        yield installation.check(one)
    readable = [one for one in installations if one.view is not None]
    ports = {port for one in readable if one.view for _, port in one.view.link.addresses()}
    host = listeners.look({one.program: one.path for one in installations}, ports)
    for one in installations:
        yield listeners.judge_processes(one.program, len(host.running(one.program, one.path)), host.all_visible)
    yield from _listeners(host, installations, ports, doctor)
    yield from _one_way(wish, doctor, {one.role for one in installations}, host)
    for one in readable:
        yield from _broker(one, doctor.timeout_s)
    yield from _clocks_and_health(settings, readable, doctor)
    for one in readable:
        if one.role is Role.BRIDGE:
            yield from marketing.findings(one.path)
    for one in readable:
        yield from _files(one)
    yield from _disks(readable, doctor)


def _control(path: Path) -> tuple[ControlSettings, Finding | None]:
    try:
        return load(path, ControlSettings), None
    except ConfigurationError as error:
        if not path.exists():
            action = tr("install config/bridgectl.toml there, or name it in BRIDGECTL_CONFIG")
            return ControlSettings(), Finding("configuration", str(path), Status.WARN, tr("is not there"), action)
        return ControlSettings(), Finding("configuration", str(path), Status.FAIL, str(error), tr("mend it"))


def _installations(wish: Wish, doctor: DoctorSection) -> list[Installation]:
    found = []
    for role, given, set_ in (
        (Role.FRONT, wish.front_config, doctor.front_config),
        (Role.BRIDGE, wish.bridge_config, doctor.bridge_config),
    ):
        path = given or set_ or wish.control.parent / CONFIGURATIONS[role]
        if wish.role is role or (wish.role is None and (given is not None or path.exists())):
            found.append(installation.found(role, path))
    return found


def _listeners(
    host: listeners.Host, installations: Sequence[Installation], ports: set[int], doctor: DoctorSection
) -> Iterator[Finding]:
    expected = set(doctor.expected_listeners)
    roles = {one.role for one in installations}
    if Role.FRONT in roles:
        http = {one.view.http.port for one in installations if one.view and one.role is Role.FRONT}
        expected |= http | ports
    if Role.BRIDGE in roles:
        pushes = {one.view.pushes.port for one in installations if one.view and one.role is Role.BRIDGE} - {0}
        bridges = [one.view for one in installations if one.view and one.role is Role.BRIDGE]
        desk = {view.desk.port for view in bridges if view.desk.enabled}
        yield from listeners.judge_bridge_host(
            host.listeners, PROGRAMS[Role.BRIDGE], expected, host.all_visible, pushes, desk
        )
    elif Role.FRONT in roles:
        yield from listeners.judge_front_host(host.listeners, PROGRAMS[Role.FRONT], expected, host.all_visible)


def _one_way(wish: Wish, doctor: DoctorSection, roles: set[Role], host: listeners.Host) -> Iterator[Finding]:
    rules = one_way.look_at_rules()  # before our own tries are counted in them
    if len(roles) > 1:
        yield one_way.judge_same_host()
    wanted = wish.inward or doctor.inward
    if Role.FRONT in roles and wanted:
        pairs = [address.rpartition(":") for address in wanted]
        addresses = [(name.strip("[]"), int(port)) for name, _, port in pairs]
        for address, way in one_way.try_inward(addresses, doctor.inward_timeout_s):
            yield one_way.judge_inward(address, way, doctor.inward_timeout_s)
    elif roles == {Role.FRONT}:
        yield one_way.judge_untried(host.broker_peers)
    elif roles == {Role.BRIDGE}:
        action = tr("run doctor on the front's host, with addresses of this side")
        yield Finding("inward", "bridge", Status.SKIP, tr("can be tried from the DMZ alone"), action)
    if roles:
        yield from one_way.judge_rules(rules)


def _broker(one: Installation, timeout_s: float) -> Iterator[Finding]:
    assert one.view is not None
    link, region = one.view.link, one.view.region
    for address in link.addresses():
        try:
            probes = broker.look(address, link, one.role, region, timeout_s)
        except ConfigurationError as error:
            yield Finding(
                "tls", f"{address[0]}:{address[1]}", Status.SKIP, str(error), tr("mend the configuration first")
            )
            return
        yield from broker.judge(probes, _now())


def _clocks_and_health(
    settings: ControlSettings, readable: Sequence[Installation], doctor: DoctorSection
) -> Iterator[Finding]:
    for one in readable:
        assert one.view is not None
        if one.role is Role.FRONT:
            yield from _presence(one.view, doctor)
            yield health.readiness(one.view.http, doctor.timeout_s)
            if finding := health.judge_http(one.view.http):
                yield finding
        else:
            heard = health.metric(one.view.metrics, "intranet_bridge_clock_skew_seconds", "front", doctor.timeout_s)
            if isinstance(heard, str):
                action = tr("turn on [metrics] of the bridge, or run doctor on the front's host")
                yield Finding("clock", "fronts", Status.SKIP, heard, action)
            elif not heard:
                action = tr("run doctor on the front's host, or again once queries have come")
                yield Finding(
                    "clock", "fronts", Status.SKIP, tr("the bridge has had no query in the last half minute"), action
                )
            else:
                yield from clocks.judge_fronts(heard)
    if settings.link is None:
        action = tr("give bridgectl.toml a [link] with a monitor's certificate")
        yield Finding("statistics", str(settings.region), Status.SKIP, tr("no monitor's certificate here"), action)
        return
    yield from _broker_clock(settings.link, doctor.timeout_s)
    yield from health.statistics(settings.link, settings.region, doctor.timeout_s)


def _bound(view: View) -> str:
    """The inbox that the front of this host addresses; empty if that cannot be told."""
    try:
        found = from_store(view.store, Role.FRONT, region_inbox.ADDRESS.name, region_inbox.read)
    except BridgeError:
        return ""
    return found.inbox if found is not None else ""


def _presence(view: View, doctor: DoctorSection) -> Iterator[Finding]:
    try:
        # Not load_keyring: it refuses by mode what root need not refuse, and the mode is judged elsewhere.
        keyring = Keyring.parse(read_bytes(view.keys.keyring), read_bytes(view.keys.trusted))
    except (OSError, ConfigurationError) as error:
        yield Finding(
            "presence", view.region, Status.SKIP, str(error), tr("mend it, or run doctor as the service's user")
        )
        return
    announced = clocks.Announced()
    for address in view.link.addresses():
        try:
            announced = clocks.listen(address, view.link, view.region, keyring, wall_clock, doctor.presence_s)
        except ConfigurationError as error:
            announced = clocks.Announced(error=str(error))
        if not announced.error:
            break
    yield from clocks.judge_presence(announced, view.region, doctor.presence_s, _bound(view))


def _broker_clock(link: LinkSection, timeout_s: float) -> Iterator[Finding]:
    for address in link.addresses():
        name = f"broker {address[0]}:{address[1]}"
        try:
            ahead = clocks.broker_ahead(address, link, wall_clock, timeout_s)
        except ConfigurationError as error:
            ahead = str(error)
        if isinstance(ahead, str):
            yield Finding(
                "clock",
                name,
                Status.SKIP,
                tr("not known: {ahead}", ahead=ahead),
                tr("see the findings about the broker"),
            )
        else:
            yield clocks.judge_clock(name, ahead)


def _files(one: Installation) -> Iterator[Finding]:
    view, now = one.view, _now()
    assert view is not None
    user = installation.service_user(one.program)
    uid = user.pw_uid if user else files.own_uid()
    for path in view.private_files():
        yield files.judge_secret(path, files.status_of(path), uid)
    for path in view.public_files():
        yield files.judge_public(path, files.status_of(path), uid)
    databases = files.database_files(view.store.file) if view.store.file else []
    for path in databases:
        yield files.judge_database(path, files.status_of(path), uid)
    for directory, mode in files.directories_above([*view.private_files(), *view.public_files(), *databases]):
        if finding := files.judge_directory(directory, mode):
            yield finding
    if (key := view.link.ca.with_name("ca.key")).exists():
        yield files.judge_authority_key(key)
    renew = tr("bridgectl certs renew {role} --name NAME, copy it here, bridgectl reload", role=one.role)
    for path in view.certificates():
        yield from files.certificate_findings(path, now, renew)
    yield from files.certificate_findings(
        view.link.ca, now, tr("bridgectl certs rollover, in good time"), files.CA_WARN_DAYS
    )
    if finding := files.role_finding(view.link.certificate, one.role):
        yield finding
    yield from files.keys_findings(view.keys.keyring, now)
    if one.role is Role.BRIDGE:
        yield from files.groups_findings(view.keys, view.fronts)


def _disks(readable: Sequence[Installation], doctor: DoctorSection) -> Iterator[Finding]:
    wanted = [one.view.store.file.parent for one in readable if one.view and one.view.store.file]
    wanted += [directory for directory in (doctor.broker_data, _LOGS) if directory]
    limits = files.DiskLimits(doctor.disk_warn_mb, doctor.disk_warn_percent, doctor.disk_fail_mb)
    for disk in files.disks(wanted):
        yield files.judge_disk(disk, limits)


def _now() -> datetime:
    return datetime.now(UTC)
