"""What an installation does on a host, decided from what is there: a list of steps, nothing is touched here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.tools.installer.conffiles import Decision, decide, digest
from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.facts import Facts, Installed
from scripts.tools.installer.layout import ETC, JAVA, KNOWN, MONITOR, PREFIX, TARGET, UNITS, Role
from scripts.tools.installer.source import Source
from scripts.tools.installer.steps import Kind, Step, keep, note
from scripts.tools.installer.texts import with_values, without_table
from scripts.tools.installer.units import Unit

COMMANDS = "/usr/local/bin"
SCRIPTS = ("install", "upgrade", "uninstall")


@dataclass(frozen=True)
class Wanted:
    """What the administrator asked for; what is empty is taken from an earlier run, or is as shipped."""

    role: Role
    prefix: str = PREFIX
    name: str = ""
    region: str = ""
    brokers: tuple[str, ...] = ()
    secrets: str = ""
    """The folder that `bridgectl certs init` and `keys init` made, with `certs/` and `keys/` in it."""
    available: frozenset[str] = frozenset()
    """The files in it."""
    start: bool = True


@dataclass(frozen=True)
class Answers:
    """What a role's configuration is made with."""

    name: str
    region: str
    brokers: tuple[str, ...]


def install_plan(facts: Facts, source: Source, wanted: Wanted) -> list[Step]:
    """All steps. Raises InstallError for what has to be done before."""
    obstacles(facts, source, wanted)
    role, unit = wanted.role, unit_of(source, wanted.role)
    answers = answered(facts.installed, wanted)
    roles = {**facts.installed.roles, role.name: {**vars(answers), "brokers": list(answers.brokers)}}
    texts = configuration(source, wanted.prefix, role, answers, frozenset(roles)) | drop_ins(facts, source, role)
    carried = list(secrets(facts, wanted, unit))
    coming = {step.path for step in carried}
    missing = [path for path in needed(role) if path not in coming and not _is_there(facts, path)]
    record = replace(
        facts.installed,
        release=source.release,
        roles=roles,
        shipped={**facts.installed.shipped, **{path: digest(text) for path, text in texts.items()}},
        broker=source.broker_version if role.name == "broker" else facts.installed.broker,
    )
    return [
        *users(facts, unit),
        *folders(facts, role, unit, wanted.prefix),
        *release_steps(facts, source, wanted.prefix),
        *(broker_steps(facts, source, wanted.prefix) if role.name == "broker" else ()),
        *links(facts, role, source.release, wanted.prefix),
        *conffiles(facts, texts),
        *carried,
        *recorded(facts, record, wanted.prefix),
        *services(facts, role, source, wanted, missing),
        *next_steps(facts, source, wanted, answers, missing),
    ]


def obstacles(facts: Facts, source: Source, wanted: Wanted) -> None:
    """Raises InstallError for what an administrator has to do first."""
    has = ".".join(map(str, facts.python))
    if facts.python < (3, 11):
        raise InstallError(f"Python 3.11 or newer is needed, and this is {has}")
    if source.pythons and has not in source.pythons:
        raise InstallError(
            f"this bundle has packages for Python {', '.join(source.pythons)}, and this host's is {has}: "
            f"make one with `scripts/bundle --python {has}`"
        )
    if not source.wheels and not facts.ensurepip:
        raise InstallError(f"python3-venv is missing: apt-get install python{has}-venv (a bundle does without it)")
    if facts.installed.release not in ("", source.release):
        raise InstallError(
            f"{facts.installed.release} is installed here, and this is {source.release}: "
            "scripts/upgrade changes the release; then install the further role"
        )
    if wanted.role.name == "broker":
        if facts.java < JAVA:
            found = f"this host has {facts.java}" if facts.java else "this host has none"
            raise InstallError(
                f"the broker needs Java {JAVA} or later, and {found}: apt-get install openjdk-{JAVA}-jre-headless "
                "(Debian 13: openjdk-21-jre-headless), from the distribution's own mirror or medium"
            )
        if not source.broker:
            raise InstallError("the broker's files are not here: run `scripts/broker fetch` first, or use a bundle")
    if wrong := [one for one in wanted.brokers if not _address(one)]:
        raise InstallError(f"--broker {wrong[0]}: HOST:PORT is wanted, for example broker.dmz:61616")
    if wanted.role.name == "bridge" and not answered(facts.installed, wanted).brokers:
        raise InstallError("--broker HOST:PORT is missing: where the bridge reaches the broker in the DMZ")


def _address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(host and colon and port.isdigit() and 0 < int(port) < 65536)


def answered(installed: Installed, wanted: Wanted) -> Answers:
    """What was asked for now, or before, or what is usual."""
    before = installed.roles.get(wanted.role.name, {})
    regions = [str(one.get("region")) for one in installed.roles.values() if one.get("region")]
    return Answers(
        name=wanted.name or str(before.get("name") or f"{wanted.role.name}-1"),
        region=wanted.region or str(before.get("region") or (regions or ["main"])[0]),
        brokers=wanted.brokers or tuple(before.get("brokers") or ()),
    )


def unit_of(source: Source, role: Role) -> Unit:
    """The role's unit, as shipped. Raises InstallError if there is none."""
    text = source.files.get(f"config/systemd/{role.unit}")
    if text is None:
        raise InstallError(f"config/systemd/{role.unit} is not in {source.root}")
    return Unit.read(role.unit, text.decode())


# --- users, folders ----------------------------------------------------------------------------------------------


def users(facts: Facts, unit: Unit) -> Iterator[Step]:
    """The service's own user and group."""
    if not unit.user:
        return
    if unit.user in facts.users:
        yield keep(unit.user, "user and group are there")
    elif not facts.passwd:
        yield keep(unit.user, "there is no etc/passwd under --root: systemd-sysusers or useradd has to make this user")
    else:
        yield Step(Kind.USER, unit.user, "for the service alone, no shell, no home")


def folders(facts: Facts, role: Role, unit: Unit, prefix: str) -> Iterator[Step]:
    """Folders that are not there yet; those that are stay as they are."""
    wanted = [(prefix, 0o755, ""), (f"{prefix}/releases", 0o755, ""), (ETC, 0o755, ""), (f"{ETC}/certs", 0o755, "")]
    if role.name != "broker":
        wanted.append((f"{ETC}/keys", 0o755, ""))
    wanted += [(f"{ETC}/{folder}", 0o755, "") for folder in role.folders]
    if unit.user:  # a dynamic user's are made by systemd, who alone knows its number
        mode = int(unit.one("StateDirectoryMode", "0755"), 8)
        wanted += [(f"/var/lib/{name}", mode, unit.user) for name in unit.one("StateDirectory").split()]
    for path, mode, user in wanted:
        if facts.at(path) is None:
            yield Step(Kind.FOLDER, path, mode=mode, owner=user or "root", group=user or "root")


# --- the release -------------------------------------------------------------------------------------------------


def release_folder(prefix: str, release: str) -> str:
    """Where a release is."""
    return f"{prefix}/releases/{release}"


def release_steps(facts: Facts, source: Source, prefix: str) -> Iterator[Step]:
    """A virtual environment with the exact packages of the lock, beside what other releases there are."""
    folder = release_folder(prefix, source.release)
    done = f"{folder}/share/dmz-bridge/installed"
    if facts.at(done) is not None:
        yield keep(folder, "the release is there")
        return
    if facts.at(folder) is not None:
        yield Step(Kind.REMOVE, folder, "an installation that did not come to its end")
    python = f"{folder}/bin/python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet", "--no-compile")
    lock = str(source.root / "requirements.lock")
    if source.wheels:
        wheels = source.root / "wheels"
        offline = ("--no-index", "--find-links", str(wheels))
        environment = (("PYTHONPATH", str(_one_wheel(source, "pip"))),)
        own = str(_one_wheel(source, "dmz_bridge"))
        yield Step(Kind.RUN, "", "a virtual environment", argv=("python3", "-m", "venv", "--without-pip", folder))
        yield Step(Kind.RUN, "", "the packages of the lock, from the bundle alone", environment=environment,
                   argv=(*pip, *offline, "--no-deps", "--require-hashes", "-r", lock))  # fmt: skip
        yield Step(Kind.RUN, "", "dmz-bridge itself", environment=environment,
                   argv=(*pip, *offline, "--no-deps", own))  # fmt: skip
    else:
        yield Step(Kind.RUN, "", "a virtual environment", argv=("python3", "-m", "venv", folder))
        yield Step(Kind.RUN, "", "the packages of the lock, from the package index",
                   argv=(*pip, "--require-hashes", "-r", lock))  # fmt: skip
        yield Step(Kind.RUN, "", "dmz-bridge itself", argv=(*pip, "--no-deps", str(source.root)))
    yield Step(Kind.RUN, "", "compiled once, as the services cannot write here",
               argv=(python, "-m", "compileall", "-q", "-j", "0", f"{folder}/lib"))  # fmt: skip
    if facts.root:
        yield Step(Kind.RELOCATE, folder, f"{facts.root} taken out of its paths")
    share = f"{folder}/share/dmz-bridge"
    for name in (*source.docs, *_installer(source)):
        kind = Kind.TREE if (source.root / name).is_dir() else Kind.COPY
        mode = 0o755 if name in {f"scripts/{script}" for script in SCRIPTS} else 0o644
        yield Step(kind, f"{share}/{name}", source=source.root / name, mode=mode)
    yield Step(Kind.WRITE, done, "the release is whole", content=f"{source.release}\n".encode())


def _installer(source: Source) -> Iterator[str]:
    """The installer itself goes along: `uninstall` is at hand when the bundle is gone."""
    wanted = ("requirements.lock", "sbom.cdx.json", "scripts/__init__.py", "scripts/tools/__init__.py",
              "scripts/tools/installer", *(f"scripts/{script}" for script in SCRIPTS))  # fmt: skip
    return (name for name in wanted if (source.root / name).exists())


def _one_wheel(source: Source, name: str) -> Path:
    found = sorted((source.root / "wheels").glob(f"{name}-*.whl"))
    if not found:
        raise InstallError(f"the bundle has no wheel of {name}")
    return found[-1]


def broker_steps(facts: Facts, source: Source, prefix: str) -> Iterator[Step]:
    """The broker's program files, beside those of other versions."""
    folder = f"{prefix}/broker/activemq-{source.broker_version}"
    if facts.at(f"{folder}/lib") is None:
        yield Step(Kind.TREE, f"{folder}/lib", f"ActiveMQ {source.broker_version}", source=Path(source.broker))
    else:
        yield keep(folder, "the broker's files are there")
    yield from _link(facts, f"{prefix}/broker/current", f"activemq-{source.broker_version}")


def links(facts: Facts, role: Role, release: str, prefix: str) -> Iterator[Step]:
    """The release in use, and the commands."""
    yield from _link(facts, f"{prefix}/current", f"releases/{release}")
    yield from _link(facts, f"{prefix}/bin", "current/bin")
    for program in ("bridgectl", role.program):
        command = f"{COMMANDS}/{program}"
        found = facts.at(command)
        if program and (found is None or found.kind == "link"):
            yield from _link(facts, command, f"{prefix}/bin/{program}")
        elif program:
            yield keep(command, "is there, and not a link of ours")


def _link(facts: Facts, path: str, target: str) -> Iterator[Step]:
    found = facts.at(path)
    if found is None or found.target != target:
        yield Step(Kind.LINK, path, target=target)


# --- configuration -----------------------------------------------------------------------------------------------


def configuration(source: Source, prefix: str, role: Role, answers: Answers, roles: frozenset[str]) -> dict[str, bytes]:
    """The configuration files of a role, as they are shipped to this host: path → content."""
    shipped = {name: content.decode() for name, content in source.files.items() if _is_text(name)}
    found: dict[str, str] = {}
    if role.configuration:
        values: dict[str, object] = {"name": answers.name, "region": answers.region}
        if answers.brokers:
            values["link.brokers"] = list(answers.brokers)
        found[f"{ETC}/{role.configuration}"] = with_values(shipped[f"config/{role.configuration}"], values)
    for folder in role.folders:
        found |= {f"{ETC}/{name.removeprefix('config/')}": text for name, text in shipped.items()
                  if name.startswith(f"config/{folder}/")}  # fmt: skip
    if role.firewall and f"config/nftables/{role.firewall}" in shipped:
        found[f"{ETC}/{role.firewall}"] = shipped[f"config/nftables/{role.firewall}"]
    if role.name == "broker":
        found |= {f"{ETC}/activemq/{name}": shipped[f"activemq/{name}"] for name in BROKER_FILES}
    found[f"{ETC}/bridgectl.toml"] = control(shipped["config/bridgectl.toml"], answers, roles)
    units = [name for name in (role.unit, TARGET) if f"config/systemd/{name}" in shipped]
    found |= {f"{UNITS}/{name}": shipped[f"config/systemd/{name}"].replace(PREFIX, prefix) for name in units}
    return {path: text.encode() for path, text in found.items()}


def drop_ins(facts: Facts, source: Source, role: Role) -> dict[str, bytes]:
    """What a unit has beside it for this host alone. A journal that is there has its share of the disk already."""
    found: dict[str, bytes] = {}
    reload = source.files.get("config/systemd/notify-reload.conf")
    if role.program and reload is not None and facts.systemd >= NOTIFY_RELOAD:
        found[f"{UNITS}/{role.unit}.d/notify-reload.conf"] = reload
    store = f"{UNITS}/{role.unit}.d/store.conf"
    if role.name == "broker" and facts.free_bytes < STORE * 1.2 and role.name not in facts.installed.roles:
        half = facts.free_bytes // 2 >> 20 << 20
        text = f"# The disk has less than what the unit lets the journal take.\n[Service]\nEnvironment=STORE={half}\n"
        found[store] = text.encode()
    return found


def control(text: str, answers: Answers, roles: frozenset[str]) -> str:
    """bridgectl.toml for the roles of this host."""
    values: dict[str, object] = {"region": answers.region}
    if answers.brokers:
        values["link.brokers"] = list(answers.brokers)
    if "broker" in roles:
        values["doctor.broker_data"] = BROKER_DATA
    text = with_values(text, values)
    return text if "front" in roles else without_table(text, "front_store")


BROKER_FILES = ("activemq.xml", "login.config", "users.properties", "groups.properties", "log4j2.properties")
NOTIFY_RELOAD = 253
"""The first systemd that knows Type=notify-reload."""
STORE = 4 << 30
"""Bytes the broker's journal may take, by its unit: a broker that finds less disk ends (activemq/README.md)."""
BROKER_DATA = "/var/lib/dmz-bridge-broker"


def _is_text(name: str) -> bool:
    return name.endswith((".toml", ".nft", ".xml", ".properties", ".config", ".service", ".target"))


def conffiles(facts: Facts, texts: dict[str, bytes]) -> Iterator[Step]:
    """Each file written, replaced, left, or put beside: as dpkg does."""
    for path, content in texts.items():
        here = facts.at(path)
        what = decide(here.digest if here else None, digest(content), facts.installed.shipped.get(path))
        if what in (Decision.WRITE, Decision.REPLACE):
            yield Step(Kind.WRITE, path, what.value, content=content)
        elif what is Decision.BESIDE:
            beside = facts.at(f"{path}.new")
            if beside is None or beside.digest != digest(content):
                yield Step(Kind.BESIDE, f"{path}.new", f"{path} was changed here and is left", content=content)
            else:
                yield keep(path, what.value.replace("FILE", path))
        elif what is not Decision.SAME:
            yield keep(path, what.value)


# --- certificates and keys ---------------------------------------------------------------------------------------


def needed(role: Role) -> list[str]:
    """Where the role's certificates and keys are on its host."""
    pairs = [f"certs/{stem}.{ending}" for stem in role.certificates for ending in ("pem", "key")]
    return [f"{ETC}/{name}" for name in (*role.public, *pairs, *role.secrets)]


def _is_there(facts: Facts, path: str) -> bool:
    """In its place, or in systemd's store of credentials."""
    return facts.at(path) is not None or facts.at(f"/etc/credstore/dmz-bridge.{path.rpartition('/')[2]}") is not None


def belongs(role: Role, name: str, available: Iterable[str] = ()) -> list[str]:
    """What of a folder of certificates and keys goes to the role's host, and no more; never the CA's key."""
    there = frozenset(available)
    pairs = []
    for stem in role.certificates:
        own = name if f"certs/{name}.pem" in there or (not there and name != f"{role.name}-1") else stem
        pairs += [f"certs/{own}.pem", f"certs/{own}.key"]
    return [*role.public, *pairs, *role.secrets, *MONITOR]


def secrets(facts: Facts, wanted: Wanted, unit: Unit) -> Iterator[Step]:
    """What `--secrets` has of this role, put in its place; one that is there already is never written over."""
    if not wanted.secrets:
        return
    role, name = wanted.role, answered(facts.installed, wanted).name
    taken_as_credentials = set(unit.credentials.values())
    for given in belongs(role, name, wanted.available):
        if given not in wanted.available:
            if given not in MONITOR:
                raise InstallError(f"{wanted.secrets}/{given} is missing: bridgectl certs init and keys init make it")
            continue
        path = f"{ETC}/{given}".replace(f"/certs/{name}.", f"/certs/{role.name}.")
        source = Path(wanted.secrets) / given
        private = given not in role.public and not given.endswith(".pem")
        readable = private and unit.user and given not in MONITOR and path not in taken_as_credentials
        step = Step(
            Kind.COPY, path, source=source,
            mode=(0o640 if readable else 0o600) if private else 0o644,
            group=unit.user if readable else "root",
        )  # fmt: skip
        here = facts.at(path)
        if here is None:
            yield step
        elif here.digest != digest(source.read_bytes()):
            yield keep(path, f"is there, and another than {source}")


# --- services ----------------------------------------------------------------------------------------------------


def recorded(facts: Facts, record: Installed, prefix: str) -> Iterator[Step]:
    """What this run has done, for the next."""
    path = f"{prefix}/installed.json"
    here = facts.at(path)
    if here is None or here.digest != digest(record.dump()):
        yield Step(Kind.WRITE, path, "what was installed", content=record.dump())


def check(role: Role, unit: Unit, prefix: str, release: str = "") -> Step:
    """The daemon's own look at its configuration, as the user who runs it."""
    folder = release_folder(prefix, release) if release else prefix
    argv = (f"{folder}/bin/{role.program}", "--config", f"{ETC}/{role.configuration}", "--check-config")
    return Step(Kind.RUN, "", "the configuration is checked", argv=argv, user=unit.user, environment=credentials(unit))


def credentials(unit: Unit) -> tuple[tuple[str, str], ...]:
    """Where a configuration's `credential:NAME` is found while the service runs (docs/how-to/run-under-systemd.md)."""
    return (("CREDENTIALS_DIRECTORY", f"/run/credentials/{unit.name}"),) if unit.credentials else ()


def services(facts: Facts, role: Role, source: Source, wanted: Wanted, missing: list[str]) -> Iterator[Step]:
    """Units known, checked and started, as far as this can be."""
    unit = unit_of(source, role)
    if facts.root:
        yield keep(role.unit, f"the unit is written and not started: {facts.root} is not the running system")
        return
    if facts.manager:
        yield Step(Kind.RELOAD, "", "the service manager reads its units")
    if missing:
        yield keep(
            role.unit, f"not checked and not started: {len(missing)} certificates and keys are missing, see below"
        )
        return
    if role.program:
        yield check(role, unit, wanted.prefix)
    if not facts.manager:
        yield keep(role.unit, "the unit is written and not started: systemd is not PID 1 here")
    elif not wanted.start:
        yield keep(role.unit, "not started, as you wished: systemctl enable --now " + role.unit)
    else:
        if f"config/systemd/{TARGET}" in source.files:
            yield Step(Kind.ENABLE, TARGET)
        yield Step(Kind.ENABLE, role.unit)
        yield Step(Kind.START, role.unit)


def next_steps(facts: Facts, source: Source, wanted: Wanted, answers: Answers, missing: list[str]) -> Iterator[Step]:
    """What is left to the administrator. Lines that begin with `$` are commands, as they stand."""
    role, prefix = wanted.role, wanted.prefix
    script = source.root / "scripts" / "install"
    bridgectl = f"{prefix}/bin/bridgectl"
    yield note()
    if missing:
        yield note(f"Next: {', '.join(path.removeprefix(ETC + '/') for path in missing)} are missing.")
        yield from _how_to_make(facts, role, answers, script, bridgectl)
        return
    yield note("Next:")
    if role.name == "bridge":
        yield note(
            f"  {ETC}/intranet_bridge.toml and bindings/: the marketing system's address, log-in and interfaces;"
        )
        yield note("  its secrets in files beside it, mode 0640, group of the service. Then try each interface:")
        yield note(f"  $ {prefix}/bin/intranet-bridge try bill-query")
    if role.name == "front":
        yield note(
            f"  {ETC}/dmz_front.toml: [http] host, port and certificate; [[accounts]], the forms of account numbers."
        )
        yield note("  A key for each application:")
        yield note(f"  $ {bridgectl} apps add NAME --scope bills --scope work-orders")
    if role.firewall:
        yield note(f"  The one-way rule in the kernel: edit the definitions in {ETC}/{role.firewall}, then")
        yield note(f"  $ nft -f {ETC}/{role.firewall}")
    yield note("  When both hosts are installed:")
    yield note(f"  $ {bridgectl} doctor")


def _how_to_make(facts: Facts, role: Role, answers: Answers, script: Path, bridgectl: str) -> Iterator[Step]:
    folder = "/root/dmz-bridge-secrets"
    if role.name == "bridge":
        yield note("They are made on the other host (or a machine of the operator's), and only these are carried here:")
        yield note(f"  {' '.join(belongs(role, answers.name))}")
        yield note(f"  $ mkdir -m 0700 -p {folder} && tar -C {folder} -xf /root/bridge-secrets.tar")
        yield note(f"  $ {script} --role bridge --secrets {folder}")
        yield note(f"  $ rm -r {folder} /root/bridge-secrets.tar")
        return
    bridge = KNOWN["bridge"]
    front = answers.name if role.name == "front" else "front-1"
    hosts = {facts.hostname, *(address.rpartition(":")[0] for address in answers.brokers)}
    sans = "".join(f" --broker-san {host}" for host in sorted(hosts - {"localhost", "127.0.0.1"}))
    yield note("Make them once for both hosts, here or on a machine of the operator's:")
    yield note(f"  $ {bridgectl} certs init --dir {folder}/certs{sans} --front {front}")
    yield note(f"  $ {bridgectl} keys init --dir {folder}/keys")
    yield note("Put this host's in their places (for each role it has):")
    yield note(f"  $ {script} --role {role.name} --secrets {folder}")
    yield note("Carry the bridge's to its host, these and no others:")
    yield note(f"  $ umask 077; tar -C {folder} -cf /root/bridge-secrets.tar {' '.join(belongs(bridge, 'bridge-1'))}")
    yield note(f"Then take {folder} off the network: {folder}/certs/ca.key can make anyone, and no host needs it.")
