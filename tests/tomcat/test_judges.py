# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A table of what administrators really have: what detection, plan and modules say of it, and what the judge says.

The judge is a real Tomcat, catalina.sh, shell or keytool that is given the same files. Where they disagree, the
collection is wrong: it is mended there, never here.
"""

from __future__ import annotations

import concurrent.futures
import subprocess

import javas
import pytest
from judges import commands, rules, stores, tomcats, world

WORKERS = 2
VERSIONS = {"9.0.98": "17", "10.1.34": "17", "11.0.2": "21"}  # of Tomcat -> the Java that it runs on


@pytest.fixture(scope="module")
def table(tomcat_files, tmp_path_factory):
    """All rows, made once."""
    reason = world.explain_no_judge()
    if reason:
        pytest.skip(reason)
    files = {version: tomcat_files(version) for version in VERSIONS}
    homes = {version: javas.home_of(java) for version, java in VERSIONS.items()}
    folder = tmp_path_factory.mktemp
    keys = tomcats.Keys(folder("keys"), str(homes["9.0.98"] / "bin/keytool"), run_quietly)
    jobs = []
    for version, tomcat in files.items():
        jobs.append((tomcats.run_connectors, folder("tomcat"), version, tomcat, homes[version], keys))
        for about in tomcats.LAYOUTS:
            if version == "10.1.34" or about in tomcats.EVERYWHERE:
                jobs.append((tomcats.run_layout, folder("tomcat"), about, version, tomcat, homes[version], keys))
    shells = list(files.values())
    for number, case in enumerate(commands.CASES):
        jobs.append((commands.run, case, folder("command"), shells[number % len(shells)]))
    keytool = str(homes["9.0.98"] / "bin/keytool")
    jobs += [(stores.run_store, name, keytool) for name in stores.STORES]
    jobs += [(stores.run_file, about, folder("file"), keytool) for about in stores.FILES]
    jobs += [(rules.run, rule, folder("rule")) for rule in rules.RULES]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return [row for rows in pool.map(lambda job: job[0](*job[1:]), jobs) for row in rows]


def run_quietly(command):
    subprocess.run(list(map(str, command)), check=True, capture_output=True, stdin=subprocess.DEVNULL)


def test_there_is_no_disagreement(table, capsys):
    with capsys.disabled():
        print()
        for row in sorted(table, key=lambda item: (int(item.kind[1:]), item.about, item.judge)):
            mark = "=" if row.said == row.judged else "~" if row.agrees else "DISAGREES"
            print(f"{row.kind:<4}{row.about:<56}{row.said}  {mark}  {row.judged}  [{row.judge}] {row.tolerated}")
        wrong = [row for row in table if not row.agrees]
        print(f"{len(table)} rows, disagreements = {len(wrong)}")
    assert not wrong
    assert len(table) >= 300
