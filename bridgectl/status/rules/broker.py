"""The broker: whether it is reached, what room it has left, and its queues."""

from collections.abc import Iterator, Sequence

from bridgectl.language import tr
from bridgectl.status.observation import Observation
from bridgectl.status.rules.certificates import CERTIFICATES
from bridgectl.status.trouble import Level, Trouble
from protocol.reports.daemon import LinkReport

_USED_WARN, _USED_FULL = 80, 99


def reached(seen: Observation) -> Iterator[Trouble]:
    because = CERTIFICATES
    down = [(report, link) for report in seen.reports() for link in report.links if not link.connected]
    whole = [report for report in seen.reports() if report.links and not any(link.connected for link in report.links)]
    if whole or (seen.broker_trouble and not seen.reports()):
        why = _why([link for report in whole for link in report.links]) or seen.broker_trouble
        who = tr(" and ").join(report.name for report in whole) or "bridgectl"
        since = max((link.since for report in whole for link in report.links), default=0)
        refused = "certificate" in why or "TLS" in why
        # what is wrong may be mended on disk, and only not read yet
        stale = next((report for report in whole if report.changed_files), None)
        mend = (
            tr("bridgectl reload {role}, for its files have changed", role=stale.role)
            if stale
            else "bridgectl certs check"
        )
        yield Trouble(
            Level.CRITICAL,
            "broker-refuses" if refused else "broker-unreachable",
            tr("{who} cannot reach the broker", who=who)
            if not refused
            else tr("{who} and the broker do not accept each other", who=who),
            why,
            since,
            hurts=tr("no query is answered; commands are kept and go out later"),
            mend=mend if refused else tr("on the DMZ host: systemctl restart dmz-bridge-broker"),
            because=because if refused else (),
        )
    elif down:
        names = ", ".join(f"{report.name} {link.name}" for report, link in down)
        why = _why([link for _, link in down])
        yield Trouble(
            Level.CRITICAL,
            "link-down",
            tr("not all links are up: {names}", names=names),
            why,
            max(link.since for _, link in down),
            mend="bridgectl doctor",
        )
    elif seen.broker_trouble:
        yield Trouble(
            Level.WARNING,
            "queues-unknown",
            tr("the broker does not say how its queues are"),
            seen.broker_trouble,
            mend="bridgectl queues",
        )


def room(seen: Observation) -> Iterator[Trouble]:
    if seen.usage is None:
        return
    store, temp = seen.usage.store, seen.usage.temp
    most = max(store, temp)
    if most >= _USED_WARN:
        full = most >= _USED_FULL
        yield Trouble(
            Level.CRITICAL if full else Level.WARNING,
            "broker-full",
            tr("the broker is full") if full else tr("the broker fills up"),
            tr("its store is at {store} %, its temporary space at {temp} % of what it may use", store=store, temp=temp),
            hurts=tr("it takes nothing more: commands are kept at the fronts, or refused") if full else "",
            mend=tr(
                "bridgectl queues says what lies there; a bridge takes it away, for dead letters bridgectl dlq purge"
            ),
            because=("bridge-down", "bridge-stuck", "bridge-silent", "no-bridge", "bridge-leaves", "draining"),
        )


def queues(seen: Observation) -> Iterator[Trouble]:
    because = (
        *CERTIFICATES, "draining", "bridge-leaves", "broker-unreachable", "bridge-down", "bridge-stuck",
        "bridge-silent", "no-bridge",
    )  # fmt: skip
    for queue in seen.queues or ():
        if queue.dead_letters:
            yield Trouble(
                Level.WARNING,
                "dead-letters",
                tr("{dead_letters} dead letters of {queue}", dead_letters=queue.dead_letters, queue=queue.name),
                tr("nobody could make anything of them"),
                mend=tr("bridgectl dlq list says why; bridgectl dlq redrive or purge"),
            )
        if queue.name.startswith(("bridge.query.", "bridge.command.", "bridge.file.")) and not queue.consumers:
            yield Trouble(
                Level.CRITICAL,
                "queue-not-consumed",
                tr("no bridge takes from {queue}", queue=queue.name),
                tr("{depth} wait", depth=queue.depth),
                hurts=tr("what is in it waits"),
                mend=tr("on the intranet host: systemctl restart intranet-bridge"),
                because=because,
            )


def _why(links: Sequence[LinkReport]) -> str:
    return "; ".join(dict.fromkeys(link.trouble for link in links if link.trouble))
