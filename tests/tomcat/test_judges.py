# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A table of what administrators really have: what detection, plan and modules say of it, and what the judge says.

The judge is a real Tomcat, catalina.sh, shell or keytool that is given the same files. Where they disagree, the
collection is wrong: it is mended there, never here.
"""

from __future__ import annotations

import concurrent.futures

import pytest
from judges import commands, world

WORKERS = 2
VERSIONS = ("9.0.98", "10.1.34", "11.0.2")


@pytest.fixture(scope="module")
def table(tomcat_files, tmp_path_factory):
    """All rows, made once."""
    reason = world.explain_no_judge()
    if reason:
        pytest.skip(reason)
    tomcats = [tomcat_files(version) for version in VERSIONS]
    jobs = [
        (commands.run, case, tmp_path_factory.mktemp("command"), tomcats[number % len(tomcats)])
        for number, case in enumerate(commands.CASES)
    ]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda job: job[0](*job[1:]), jobs))


def test_there_is_no_disagreement(table, capsys):
    with capsys.disabled():
        print()
        for row in sorted(table, key=lambda item: (int(item.kind[1:]), item.about)):
            mark = "=" if row.said == row.judged else "~" if row.agrees else "DISAGREES"
            print(f"{row.kind:<4}{row.about:<52}{row.said}  {mark}  {row.judged}  [{row.judge}] {row.tolerated}")
        wrong = [row for row in table if not row.agrees]
        print(f"{len(table)} rows, disagreements = {len(wrong)}")
    assert not wrong
    assert len(table) >= 80
