"""The broker as this host's daemon meets it: TLS, who is let in, what a role may read, which version runs."""

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from bridgectl.doctor import wire
from bridgectl.doctor.files import judge_expiry
from bridgectl.doctor.finding import Finding, Status
from bridgectl.doctor.wire import Address, Answer, Attempt
from bridgectl.language import noted, tr
from protocol import destinations
from protocol.link.tls import client_context
from protocol.messages import Role
from protocol.runtime.settings import LinkSection

SAFE_VERSIONS = {5: (5, 19, 10), 6: (6, 2, 9)}
"""The oldest ActiveMQ of each line without a known vulnerability (https://activemq.apache.org/security)."""

_CONFIGURE = noted("configure it as in activemq/activemq.xml")


@dataclass(frozen=True, slots=True)
class Probes:
    """What was seen of one broker. What made no sense to try, because the first did not come through, is None."""

    address: str
    """Of the broker, and as whom we came: for the report."""
    ours: Attempt
    """With our certificate."""
    bare: Attempt | None = None
    """Without a certificate."""
    foreign: Attempt | None = None
    """With a certificate of another authority."""
    plain: Attempt | None = None
    """Without TLS."""
    old: Attempt | None = None
    """With TLS 1.1 at most."""
    rights: dict[str, str | None] = field(default_factory=dict)
    """Destination our role must not read → the broker's words of refusal; None if it let us."""


def forbidden(role: Role, region: str) -> list[str]:
    """What a daemon's certificate must not read. Browsing a queue takes nothing from it, and needs the same right."""
    dead = destinations.dead_letters(destinations.commands(region))
    if role is Role.FRONT:
        other = destinations.query_replies("another-front")  # whatever ours is called, it is not this
        return [destinations.queries(region), destinations.commands(region), dead, other]
    return [destinations.presence(region), dead]


# --- judgements -------------------------------------------------------------------------------------------


def judge(probes: Probes, now: datetime) -> Iterator[Finding]:
    """Everything about one broker."""
    yield judge_tls(probes.address, probes.ours)
    if probes.ours.certificate is not None:
        renew = tr("bridgectl certs renew broker --name NAME, copy its stores to the broker, restart it")
        yield judge_expiry(probes.address, probes.ours.certificate, now, renew)
    if probes.old is not None:
        yield judge_old(probes.address, probes.old)
    if probes.bare is not None:
        yield judge_stranger(probes.address, tr("without a certificate"), probes.bare)
    if probes.foreign is not None:
        yield judge_stranger(probes.address, tr("with a certificate of another authority"), probes.foreign)
    if probes.plain is not None:
        yield judge_plain(probes.address, probes.plain)
    for destination, refusal in probes.rights.items():
        yield judge_right(probes.address, destination, refusal)
    if probes.ours.answer is Answer.CONNECTED:
        yield judge_version(probes.address, probes.ours.server)


def judge_tls(address: str, ours: Attempt) -> Finding:
    """The connection that the daemon itself would make."""

    def failed(seen: str, action: str) -> Finding:
        return Finding("tls", address, Status.FAIL, seen, action)

    match ours.answer:
        case Answer.CONNECTED:
            return Finding(
                "tls",
                address,
                Status.OK,
                tr("{tls}; the broker's certificate is valid for this name and CA", tls=ours.tls),
            )
        case Answer.UNREACHABLE:
            return failed(
                tr("not reachable: {ours}", ours=ours.text),
                tr("see that the broker runs, and that the firewall lets us out to it"),
            )
        case Answer.UNTRUSTED:
            action = tr("[link] brokers must name a host of the broker's certificate, [link] ca the CA that signed it")
            return failed(tr("the broker's certificate is not trusted: {ours}", ours=ours.text), action)
        case Answer.ERROR:
            action = tr("the certificate's OU must be this role; see the broker's users.properties")
            return failed(tr("the broker does not log us in: {ours}", ours=ours.text), action)
        case Answer.SILENT:
            return failed(ours.text, tr("see that it is a STOMP port, and that the broker is not stuck"))
        case _:
            action = tr(
                "see the broker's log; our certificate must be signed by a CA of its truststore.p12 and not be expired"
            )
            return failed(tr("the broker refuses the connection: {ours}", ours=ours.text), action)


def judge_old(address: str, old: Attempt) -> Finding:
    """TLS 1.1 and older must not be spoken."""
    if old.tls or old.answer in (Answer.CONNECTED, Answer.ERROR):
        action = tr("set transport.enabledProtocols=TLSv1.3,TLSv1.2: {configure}", configure=tr(_CONFIGURE))
        return Finding(
            "tls-floor", address, Status.FAIL, tr("the broker speaks {tls}", tls=old.tls or tr("old TLS")), action
        )
    if old.answer is Answer.UNABLE:
        return Finding("tls-floor", address, Status.SKIP, tr("this host's OpenSSL cannot speak TLS 1.1 to try it"))
    return Finding("tls-floor", address, Status.OK, tr("TLS 1.1 is refused: {old}", old=old.text))


def judge_stranger(address: str, how: str, attempt: Attempt) -> Finding:
    """A client that must be turned away by TLS itself, before the broker reads a word of it."""
    action = tr("set transport.needClientAuth=true, and trust one CA alone: {configure}", configure=tr(_CONFIGURE))
    match attempt.answer:
        case Answer.REFUSED:
            return Finding(
                "client-certificate",
                address,
                Status.OK,
                tr("{how}: refused by TLS ({attempt})", how=how, attempt=attempt.text),
            )
        case Answer.CONNECTED:
            return Finding("client-certificate", address, Status.FAIL, tr("{how}: let in", how=how), action)
        case Answer.ERROR:
            seen = tr("{how}: TLS lets it in, only the login stops it ({attempt})", how=how, attempt=attempt.text)
            return Finding("client-certificate", address, Status.FAIL, seen, action)
        case _:
            seen = tr("{how}: not clear, {attempt}", how=how, attempt=attempt.text or attempt.answer)
            return Finding(
                "client-certificate", address, Status.WARN, seen, tr("run doctor again; see the broker's log")
            )


def judge_plain(address: str, attempt: Attempt) -> Finding:
    """A client that does not speak TLS at all."""
    if attempt.answer in (Answer.CONNECTED, Answer.ERROR):
        action = tr(
            "the connector must be stomp+ssl://, not stomp:// or auto://: {configure}", configure=tr(_CONFIGURE)
        )
        return Finding("plain-text", address, Status.FAIL, tr("the broker answers STOMP without TLS"), action)
    return Finding(
        "plain-text", address, Status.OK, tr("plain text gets no STOMP answer ({attempt})", attempt=attempt.text)
    )


def judge_right(address: str, destination: str, refusal: str | None) -> Finding:
    """A read that the broker must refuse."""
    if refusal is None:
        action = tr("the authorisation entries give this role too much: {configure}", configure=tr(_CONFIGURE))
        return Finding(
            "authorization", address, Status.FAIL, tr("may read {destination}", destination=destination), action
        )
    if "authori" not in refusal.lower():
        action = tr("see the broker's log: it should refuse for want of authorisation")
        return Finding(
            "authorization",
            address,
            Status.WARN,
            tr("may not read {destination}, but why: {refusal}", destination=destination, refusal=refusal),
            action,
        )
    return Finding("authorization", address, Status.OK, tr("may not read {destination}", destination=destination))


def judge_version(address: str, server: str) -> Finding:
    """CONNECTED's `server` header against the known vulnerabilities."""
    match = re.fullmatch(r"ActiveMQ/(\d+)\.(\d+)\.(\d+)(?:[.-].*)?", server)
    if match is None:
        seen = tr("unknown broker {server!r}", server=server) if server else tr("the broker does not say what it is")
        return Finding(
            "broker-version", address, Status.WARN, seen, tr("compare it with its maker's list of vulnerabilities")
        )
    version = (int(match[1]), int(match[2]), int(match[3]))
    text = ".".join(map(str, version))
    floor = SAFE_VERSIONS.get(version[0])
    if floor is None:
        known = " and ".join(".".join(map(str, one)) for one in SAFE_VERSIONS.values())
        action = tr("this doctor knows the floors {known}: look it up", known=known)
        return Finding(
            "broker-version", address, Status.WARN, tr("ActiveMQ {text} is of a line not known here", text=text), action
        )
    if version < floor:
        wanted = ".".join(map(str, floor))
        action = tr("known vulnerabilities are mended in {wanted}: update it", wanted=wanted)
        return Finding(
            "broker-version",
            address,
            Status.WARN,
            tr("ActiveMQ {text} is older than {wanted}", text=text, wanted=wanted),
            action,
        )
    return Finding("broker-version", address, Status.OK, f"ActiveMQ {text}")


# --- looking ----------------------------------------------------------------------------------------------


def look(address: Address, link: LinkSection, role: Role, region: str, timeout_s: float) -> Probes:
    """Try everything on one broker of the failover list. Raises ConfigurationError for files that cannot be used."""
    name = f"{address[0]}:{address[1]} as {role}"
    context = client_context(link.ca, link.certificate, link.key)
    ours = wire.attempt(address, context, timeout_s)
    if ours.answer is Answer.UNREACHABLE:
        return Probes(name, ours)
    plain = wire.attempt(address, None, timeout_s)
    if ours.answer not in (Answer.CONNECTED, Answer.ERROR):  # TLS already said no, so it says nothing of strangers
        return Probes(name, ours, plain=plain)
    with wire.foreign_certificate(link.ca, role) as foreign:
        probes = Probes(
            name,
            ours,
            bare=wire.attempt(address, wire.without_certificate(link.ca), timeout_s),
            foreign=wire.attempt(address, foreign, timeout_s),
            plain=plain,
            old=_old(address, link, timeout_s),
        )
    if ours.answer is Answer.CONNECTED:
        for destination in forbidden(role, region):
            probes.rights[destination] = _refusal(address, context, destination, timeout_s)
    return probes


def _old(address: Address, link: LinkSection, timeout_s: float) -> Attempt:
    try:
        context = wire.old_tls(link.ca, link.certificate, link.key)
    except (ssl.SSLError, ValueError) as error:
        return Attempt(Answer.UNABLE, wire.reason(error))
    return wire.attempt(address, context, timeout_s)


def _refusal(address: Address, context: ssl.SSLContext, destination: str, timeout_s: float) -> str | None:
    """The broker's words when we ask to read; None if it lets us. A connection each: a refusal may end it."""
    try:
        with wire.Stomp(address, context, timeout_s) as stomp:
            if stomp.connect().cmd != "CONNECTED":
                return tr("not logged in")
            browse = str(destination.startswith("/queue/")).lower()
            frame = stomp.asked("SUBSCRIBE", id="1", destination=destination, ack="client", browser=browse)
            return wire.error_text(frame) if frame.cmd == "ERROR" else None
    except wire.Closed as error:
        return tr("the connection ended: {error}", error=error)
    except wire.Silent:
        return tr("no answer")
    except OSError as error:
        return wire.reason(error)
