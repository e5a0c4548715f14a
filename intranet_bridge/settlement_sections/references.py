"""What the settings of settlement name in other tables: each name is to be there. Pure.

Looked at when the whole configuration is read, so that what is misspelt stops the start, with its file and line, and
not the first file, batch or sheet that needs it.
"""

from collections.abc import Collection, Iterator

from intranet_bridge.files_section import FilesSection
from intranet_bridge.settlement_sections import SettlementSection
from protocol.runtime.settings import Misplaced, nearest, toml_path
from protocol.values import immutable

Place = tuple[int | str, ...]


@immutable
class Reference:
    """A setting that names something."""

    place: Place
    """Of the setting, from the file's root."""
    name: str
    table: str
    """In which it is to be found."""
    known: Collection[str]
    """What is there."""

    def checked(self) -> None:
        """Raises Misplaced: there is no such thing."""
        if self.name in self.known:
            return
        near = nearest(self.name, self.known)
        meant = f"did you mean {near}?" if near else f"there are: {', '.join(sorted(self.known)) or 'none'}"
        raise Misplaced(f"{self.table} has no {self.name}; {meant}", self.place)


def check(settlement: SettlementSection, files: FilesSection, region: str, fronts: Collection[str]) -> None:
    """Raises Misplaced for the first name that is nowhere. `region`: of this bridge. `fronts`: there are; none: any."""
    for one in references(settlement, files, region, fronts):
        one.checked()


def references(
    settlement: SettlementSection, files: FilesSection, region: str, fronts: Collection[str]
) -> Iterator[Reference]:
    """All of them."""
    if fronts:
        yield from _fronts(settlement, files, fronts)
    yield from _companies(settlement, region)
    yield from _files(settlement, files)
    yield from _statements(settlement)


def _fronts(settlement: SettlementSection, files: FilesSection, fronts: Collection[str]) -> Iterator[Reference]:
    if settlement.front is not None:
        yield Reference(("settlement", "front"), settlement.front, "fronts", fronts)
    for name, front in files.targets.items():
        yield Reference(("files", "targets", name), front, "fronts", fronts)


def _companies(settlement: SettlementSection, region: str) -> Iterator[Reference]:
    def company(name: str, *place: int | str) -> Reference:
        return Reference(("settlement", *place), name, "settlement.companies", settlement.companies)

    for name, one in settlement.companies.items():
        if one.region is not None:
            place = ("settlement", "companies", name, "region")
            yield Reference(place, one.region, "settlement.peers", {region, *settlement.peers})
    for name, file in settlement.statements.files.items():
        yield company(file.company, "statements", "files", name, "company")
    for name, batch in settlement.withholding.items():
        yield company(batch.company, "withholding", name, "company")
    for at, name in enumerate(settlement.payments.credit if settlement.payments else ()):
        yield company(name, "payments", "credit", at)
    for name, channel in settlement.clearing.channels.items():
        yield company(channel.company, "clearing", "channels", name, "company")
        for merchant, whose in channel.merchants.items():
            yield company(whose, "clearing", "channels", name, "merchants", merchant)
    for name, account in settlement.clearing.arrivals.items():
        yield company(account.company, "clearing", "arrivals", name, "company")


def _files(settlement: SettlementSection, files: FilesSection) -> Iterator[Reference]:
    for name, batch in settlement.withholding.items():
        above = ("settlement", "withholding", name)
        yield Reference((*above, "target"), batch.target, "files.targets", files.targets)
        yield Reference((*above, "answer_profile"), batch.answer_profile, "files.profiles", files.profiles)
    if settlement.clearing.target is not None:
        place = ("settlement", "clearing", "target")
        yield Reference(place, settlement.clearing.target, "files.targets", files.targets)
    for name in settlement.statements.files:
        yield Reference(("settlement", "statements", "files", name), name, "files.profiles", files.profiles)


def _statements(settlement: SettlementSection) -> Iterator[Reference]:
    clearing, kinds = settlement.clearing, settlement.statements.files
    for name, channel in clearing.channels.items():
        above = ("settlement", "clearing", "channels", name)
        for at, kind in enumerate(channel.statements):
            yield Reference((*above, "statements", at), kind, "settlement.statements.files", kinds)
        named = [kinds[kind].merchants for kind in channel.statements if kind in kinds]
        if named and all(named):  # else any may come
            table = " or ".join(
                toml_path(("settlement", "statements", "files", kind, "merchants")) for kind in channel.statements
            )
            there = {merchant for several in named for merchant in several}
            for merchant in channel.merchants:
                yield Reference((*above, "merchants", merchant), merchant, table, there)
    for kind, account in clearing.arrivals.items():
        above = ("settlement", "clearing", "arrivals", kind)
        yield Reference(above, kind, "settlement.statements.files", kinds)
        if account.channel is not None:
            yield Reference((*above, "channel"), account.channel, "settlement.clearing.channels", clearing.channels)
