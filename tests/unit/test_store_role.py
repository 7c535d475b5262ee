# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role rtc_store installs, by distribution: its packages of EL cannot be had here, so what is asked for is tested.

Names, streams and versions are those of Red Hat's "Configuring and using database servers" for 8, 9 and 10.
"""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
import yaml

ROLE = Path(__file__).resolve().parents[2] / "roles/rtc_store"
TASKS = {task["name"]: task for task in yaml.safe_load((ROLE / "tasks/main.yml").read_text())}
VARS = yaml.safe_load((ROLE / "vars/main.yml").read_text())


def render(text: str, **values: object) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    return environment.from_string(text).render({**VARS, **values})


@pytest.mark.parametrize(
    ("family", "major", "package"),
    [
        ("Debian", "11", "postgresql"),
        ("Debian", "12", "postgresql"),
        ("Debian", "24", "postgresql"),
        ("RedHat", "8", "@postgresql:13/server"),
        ("RedHat", "9", "postgresql-server"),
        ("RedHat", "10", "postgresql-server"),
        ("Suse", "15", "postgresql"),
    ],
)
def test_the_package_of_a_distribution(family: str, major: str, package: str) -> None:
    task = TASKS["Install PostgreSQL"]
    facts = {"ansible_facts": {"ansible_os_family": family, "ansible_distribution_major_version": major}}
    given = {name: render(text, rtc_store_system=facts) for name, text in task["vars"].items()}
    assert render(task["ansible.builtin.package"]["name"], **given) == package


def test_the_first_cluster_is_made_once_and_only_where_the_package_makes_none() -> None:
    task = TASKS["Make its first cluster"]
    command = task["ansible.builtin.command"]
    assert command["cmd"] == "postgresql-setup --initdb"  # gives up root's rights by itself
    assert render(command["creates"]) == "/var/lib/pgsql/data/PG_VERSION"
    for family, made in (("RedHat", "True"), ("Debian", "False")):
        condition = task["when"].replace("rtc_store_system is not skipped and ", "")
        facts = {"ansible_facts": {"ansible_os_family": family}}
        assert render("{{ " + condition + " }}", rtc_store_system=facts) == made
