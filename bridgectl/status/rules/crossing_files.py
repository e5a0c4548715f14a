"""Files of platforms: places not reached or with another host key; files refused, late, or long on their way."""

from collections.abc import Iterator

from bridgectl.language import tr, trn
from bridgectl.status.observation import Observation
from bridgectl.status.trouble import Level, Trouble
from protocol.reports.bridge import BridgeReport
from protocol.reports.files import PlaceReport
from protocol.reports.front import FrontReport

_OLD_MS = 30 * 60_000
_UNREACHABLE_MS = 10 * 60_000


def files(seen: Observation) -> Iterator[Trouble]:
    front, bridge = seen.front, seen.bridge
    if isinstance(front, FrontReport):
        for place in front.files.places:
            yield from _place(place, seen.now)
    for report in (front, bridge):
        if isinstance(report, FrontReport | BridgeReport):
            yield from _refused(report)
            yield from _waiting(report, seen.now)
    if isinstance(bridge, BridgeReport):
        for late in bridge.files.late:
            yield Trouble(
                Level.WARNING,
                "file-late",
                tr("no file {profile} has come today", profile=late.profile),
                tr("it was due, and the time it may be late is over"),
                late.due,
                hurts=tr("what it tells of cannot be settled"),
                mend=tr("on the front's host: bridgectl status; if nothing is wrong there, ask the platform"),
                because=("file-host-key-changed", "file-place-unreachable", "files-refused", "no-bridge"),
            )


def _place(place: PlaceReport, now: int) -> Iterator[Trouble]:
    what = (
        tr("the source {name}", name=place.name) if place.use == "source" else tr("the target {name}", name=place.name)
    )
    if place.state == "host-key-changed":
        yield Trouble(
            Level.CRITICAL,
            "file-host-key-changed",
            tr("the server of {what} shows another host key than the pinned one", what=what),
            tr("{server} is another server, has a new key, or somebody stands between", server=place.at),
            place.since,
            hurts=tr("no file comes or goes there; it is not tried any more"),
            mend=tr(
                "ask the platform for its fingerprint by another way, then put its key into known_hosts of {server}",
                server=place.at,
            ),
        )
    elif place.state in ("unreachable", "failing") and place.since and now - place.since > _UNREACHABLE_MS:
        yield Trouble(
            Level.WARNING,
            "file-place-unreachable",
            tr("{what} cannot be used", what=what),
            place.trouble,
            place.since,
            hurts=tr("no file comes or goes there; it is tried again by itself"),
            mend=tr("see that {server} is up, lets us in, and has the folders of the configuration", server=place.at)
            if place.at != "drop"
            else tr("see that the folders of the configuration are there, and that dmz-front may write to them"),
        )


def _refused(report: FrontReport | BridgeReport) -> Iterator[Trouble]:
    own = [one for one in report.files.refused if (one.direction == "in") == (report.role == "front")]
    if own:
        latest = own[-1]
        yield Trouble(
            Level.WARNING,
            "files-refused",
            trn("{count} file was refused", "{count} files were refused", len(own)),
            tr("the latest: {name}, {code}", name=latest.name, code=latest.code),
            latest.decided,
            hurts=tr("what is in it is not settled") if report.role == "front" else tr("the platform has not got it"),
            mend=tr("bridgectl files list --state refused; mended: bridgectl files resend ID"),
        )


def _waiting(report: FrontReport | BridgeReport, now: int) -> Iterator[Trouble]:
    told = report.files
    if told.oldest and now - told.oldest > _OLD_MS:
        yield Trouble(
            Level.WARNING,
            "files-waiting",
            trn("{count} file is on its way", "{count} files are on their way", told.waiting),
            tr("the oldest for more than half an hour"),
            told.oldest,
            mend="bridgectl files list --state sending --state whole",
            because=(
                "broker-unreachable", "broker-refuses", "bridge-silent", "no-bridge", "bridge-down", "bridge-stuck",
                "bridge-leaves", "link-down", "file-host-key-changed", "file-place-unreachable",
            ),
        )  # fmt: skip
