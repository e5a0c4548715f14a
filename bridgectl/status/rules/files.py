"""Files that a daemon goes by and has not read since they changed; settings that wait for its next start."""

from collections.abc import Iterator

from bridgectl.language import tr, trn
from bridgectl.status.observation import Observation
from bridgectl.status.rules.naming import program, some
from bridgectl.status.trouble import Level, Trouble


def not_reloaded(seen: Observation) -> Iterator[Trouble]:
    for report in seen.reports():
        files, waiting = report.changed_files, report.waiting_settings
        if files:
            yield Trouble(
                Level.WARNING,
                "not-reloaded",
                trn(
                    "{name} goes by what it read before {count} file changed",
                    "{name} goes by what it read before {count} files changed",
                    len(files),
                    name=report.name,
                ),
                some([one.path if one.since else tr("{path} (gone)", path=one.path) for one in files]),
                min((one.since for one in files if one.since), default=0),
                hurts=tr("what was changed is not in force; the next start takes it up, good or bad"),
                mend=f"bridgectl reload {report.role}",
            )
        elif waiting:
            yield Trouble(
                Level.WARNING,
                "not-reloaded",
                tr("{name} waits for a restart to go by what it has read", name=report.name),
                some(waiting),
                hurts=tr("what was changed is not in force"),
                mend=f"bridgectl drain --side {report.role}; systemctl restart {program(report)}",
            )
