# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a log that is not whole has lost, as far as that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .record import Record, decode_record, split_batch

_NAMED = 5  # projects named in one message
REMEDY = "restore a copy or an export, or save what is whole with rtc-server repair"


@dataclass
class Survey:
    """What the whole batches of a log still have: records that follow the tables' revisions without a gap, by project
    name; and what is lost before others that cannot be kept without it: first and last revision, and the last that is
    there behind them.
    """

    records: dict[str, list[Record]] = field(default_factory=dict)
    gaps: dict[str, tuple[int, int, int]] = field(default_factory=dict)


def survey(projects: Mapping[int, tuple[str, int]], batches: Mapping[int, str]) -> Survey:
    """Go through the texts of the batches that are whole, by number. ``projects``: names and flushed revisions, by
    number. Records that have not the right form are as if they were not there."""
    found = Survey()
    last = {number: revision for number, (_, revision) in projects.items()}
    for _, text in sorted(batches.items()):
        try:
            records = split_batch(text)
        except ValueError:
            continue
        for record in records:
            try:
                number, change = decode_record(record)
                name, _ = projects[number]
            except (ValueError, LookupError, TypeError):
                continue
            if name in found.gaps:
                first, end, _ = found.gaps[name]
                found.gaps[name] = first, end, max(change.revision, found.gaps[name][2])
            elif change.revision == last[number] + 1:
                found.records.setdefault(name, []).append(record)
                last[number] += 1
            elif change.revision > last[number]:
                found.gaps[name] = last[number] + 1, change.revision - 1, change.revision
    return found


def describe_gaps(found: Survey) -> str:
    """The gaps as one clause; and that more may be gone than the log shows."""
    named = [
        f"project {name!r}: revisions {first} to {end}" for name, (first, end, _) in list(found.gaps.items())[:_NAMED]
    ]
    if len(found.gaps) > _NAMED:
        named.append(f"{len(found.gaps) - _NAMED} projects more")
    return "; ".join(["lost: " + "; ".join(named) if named else "", "perhaps the last changes of others, too"]).strip(
        "; "
    )


def describe_tails(projects: Mapping[int, tuple[str, int]]) -> str:
    """Nothing is known but what the tables have: any later change may be gone."""
    named = [f"project {name!r}: those after {revision}" for name, revision in list(projects.values())[:_NAMED]]
    if len(projects) > _NAMED:
        named.append(f"{len(projects) - _NAMED} projects more")
    return "changes that were acknowledged may be lost: " + ("; ".join(named) or "all")
