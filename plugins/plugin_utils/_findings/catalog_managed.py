# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the record of what is managed on a host: RTC7xx."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType

ENTRIES = (
    FindingType(
        id="RTC701",
        severity="error",
        title="The record of what is managed cannot be used",
        meaning="It says what this collection changed on the host. Without it, nothing is changed and nothing removed.",
        detected=(
            "/var/lib/collab-rtc/managed.json is damaged, is of a newer version, others could change it, or whoever"
            " looks may not read it."
        ),
        remedy="Do what the message says.",
    ),
    FindingType(
        id="RTC702",
        severity="error",
        title="Somebody changed what this run would change",
        meaning="The change would be lost. The site is left alone on all its hosts.",
        detected="What a run wrote is not what is there now, and is not what is wanted now.",
        remedy=(
            "Put the wish into the inventory and take the edit back, or set rtc_conflicts: overwrite; the undo record"
            " of the run keeps a copy then."
        ),
    ),
    FindingType(
        id="RTC703",
        severity="warning",
        title="Things of this collection that nobody wants any more",
        meaning="They stay as they are: the host that they were made for is not in the inventory.",
        detected="The host's record names them, and none of their nodes is in the groups confluence or jira.",
        remedy="Set rtc_remove_orphans: true to take them away, or put the node back into its group.",
    ),
    FindingType(
        id="RTC704",
        severity="warning",
        title="The record came with a copy of another machine",
        meaning="What it names is adopted where it is there, and nothing is removed by it.",
        detected="The record has another machine-id, or another name in the inventory, than this host.",
        remedy="Nothing to do if the host is a clone or was renamed: this run writes a record of its own.",
    ),
    FindingType(
        id="RTC705",
        severity="error",
        title="Another run changes the host",
        meaning="Two runs at once would undo each other's work.",
        detected="A run holds the lease of the host, and is not known to be dead.",
        remedy="Wait for its end. If it was killed, remove /var/lib/collab-rtc/lease on the host.",
    ),
    FindingType(
        id="RTC706",
        severity="error",
        title="A site was rolled back, because it failed its checks after the run had changed it",
        meaning="It has what it had before the run, on all its hosts. The other sites of the run stay.",
        detected="A check of the site failed, and the undo record of the run has a part of the site.",
        remedy=(
            "Correct the cause that the check names, and run again. To look at the site as the run leaves it, set"
            " rtc_rollback_on_failure: false."
        ),
    ),
    FindingType(
        id="RTC707",
        severity="error",
        title="A site that failed its checks was not rolled back to the end",
        meaning="On this host it may have something of the run; on the others it has what it had before.",
        detected="A step of the rollback failed, or the host was not reached.",
        remedy=(
            "Correct what the message names, then undo the rest: collab.rtc.rollback with rtc_run_id and rtc_undo_site."
        ),
    ),
    FindingType(
        id="RTC708",
        severity="error",
        title="A site fails its checks after its rollback, too",
        meaning="What it had before the run did not work either, or the cause is outside of what runs change.",
        detected="A check of the site, as its record has it, failed after the rollback.",
        remedy="Correct the cause that the check names.",
    ),
    FindingType(
        id="RTC709",
        severity="warning",
        title="A site that failed its checks was not rolled back",
        meaning=(
            "It stays as the run left it. Where a restart is due, what the run wrote is not in effect yet, so the"
            " checks do not tell whether it works."
        ),
        detected="rtc_restart_application is never, and a restart is due; or rtc_rollback_on_failure is false.",
        remedy=(
            "Restart the application if a restart is due, then run collab.rtc.verify. Else correct the cause that the"
            " check names, or undo it: collab.rtc.rollback with rtc_undo_site."
        ),
    ),
    FindingType(
        id="RTC710",
        severity="warning",
        title="Our RTC server makes room for the add-on's own service",
        meaning="The run stops our RTC server, takes it away, and restarts the application, which opens the port then.",
        detected="rtc_service is builtin, and the RTC server of this collection still runs on the port.",
        remedy="Switch RTC on in the add-on, with this port, before the run. Else the checks fail, and the site gets "
        "back what it had.",
    ),
    FindingType(
        id="RTC711",
        severity="warning",
        title="Things that another inventory made for hosts of the same name",
        meaning=(
            "They stay as they are, and nobody takes them away if it is the same inventory, which had another name or"
            " place at that time."
        ),
        detected="The host's record names another inventory and nodes that this one has, too, and that do not want it.",
        remedy=(
            "If it is this inventory under its former name, set rtc_inventory_id to that name. If it is another one,"
            " mute this finding."
        ),
    ),
    FindingType(
        id="RTC712",
        severity="error",
        title="Another inventory made what this run would change on the proxy",
        meaning="Its site would be served as this inventory wants it. The site is left alone on all its hosts.",
        detected="The host's record names another inventory and nodes that the site does not have, and other values.",
        remedy=(
            "Give the site another server name or port, or take it out of one of the inventories. Where this one is to"
            " have it from now on, set rtc_conflicts: overwrite for one run."
        ),
    ),
    FindingType(
        id="RTC713",
        severity="warning",
        title="The former proxy of a site is not in the inventory any more",
        meaning="What this collection made there stays: virtual hosts, certificates with their keys, opened ports.",
        detected="The record of the RTC server names a proxy that is in none of the groups.",
        remedy=(
            "If that host still runs, put it back into the group rtc_proxies for one run: what nobody wants any more"
            " goes then. If it was renamed, or is no more, there is nothing to do."
        ),
    ),
    FindingType(
        id="RTC714",
        severity="error",
        title="One machine has two names in the inventory",
        meaning="What is made under one name would be taken away under the other.",
        detected="Two hosts of the run have the same machine-id, host name and addresses.",
        remedy=(
            "Use one name in all groups: a host may be in several, and for a proxy on the application's own host"
            " rtc_proxy is its own name."
        ),
    ),
)
