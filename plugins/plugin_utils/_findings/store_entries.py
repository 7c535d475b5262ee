# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the store that several RTC servers share: RTC450 to RTC459, of the topic of ``catalog_proxy``."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType

ENTRIES = (
    FindingType(
        id="RTC450",
        severity="error",
        title="Nodes that are all active have no common secret",
        meaning=(
            "Each node would make a secret of its own, and refuse the tokens of users whom the proxy sends to another"
            " one."
        ),
        detected=(
            "rtc_store_url is set for a site with several nodes, and rtc_secret is not set on one of them, or is not"
            " the same on all. Digests with a salt of the run are compared, and kept nowhere."
        ),
        remedy="Set rtc_secret for the group: one value, at least 32 characters, such as of openssl rand -base64 48.",
    ),
    FindingType(
        id="RTC451",
        severity="warning",
        title="The store can lose what it has acknowledged, or itself",
        meaning=(
            "After a power cut or a crash of the system, changes that users were told are kept are gone, or the "
            "database cannot be opened any more."
        ),
        detected="fsync or full_page_writes of the store is off, as the RTC server sees it.",
        remedy="Set it to on in postgresql.conf of the store, and reload PostgreSQL.",
    ),
    FindingType(
        id="RTC452",
        severity="warning",
        title="The store has no synchronous standby",
        meaning="When the primary's disk is lost, so are the changes that no standby has yet.",
        detected="synchronous_standby_names of the store is empty, as the RTC server sees it.",
        remedy="Name a standby in synchronous_standby_names, or mute this where backups are enough.",
    ),
    FindingType(
        id="RTC453",
        severity="error",
        title="The store takes no writes",
        meaning="No change would be kept: users read, and cannot edit.",
        detected="Every host that rtc_store_url names is a standby, or default_transaction_read_only is on there.",
        remedy=(
            "Name the primary in rtc_store_url, too, or promote the standby; else turn "
            "default_transaction_read_only off."
        ),
    ),
    FindingType(
        id="RTC454",
        severity="error",
        title="The store's schema is of a newer release",
        meaning=(
            "This release of the RTC server refuses it. A newer one has been there, and wrote what older ones "
            "cannot read."
        ),
        detected="The schema in the database needs a release that the RTC server of the host is older than.",
        remedy="Use a version of this collection as new as the one that was there; else name another database.",
    ),
    FindingType(
        id="RTC455",
        severity="error",
        title="A pooler is between the RTC server and its store",
        meaning=(
            "Sessions do not keep what they set, and LISTEN does not work: changes would be acknowledged before "
            "they are kept, and other nodes would not hear of them."
        ),
        detected=(
            "The session is another process at the store than the RTC server was told, or has not the settings that it"
            " was given, or the startup parameters were refused. PgBouncer is found so in each of its modes."
        ),
        remedy="Name PostgreSQL itself in rtc_store_url, past PgBouncer or whatever is between.",
    ),
    FindingType(
        id="RTC456",
        severity="error",
        title="Nodes and stores do not belong together",
        meaning=(
            "Users at two nodes would not see each other's changes; or two sites would write into each other's "
            "projects."
        ),
        detected=(
            "Nodes of one site name different stores, or one has none; or two sites name one. Order of hosts, "
            "default ports and users do not count. A warning where each node names its own machine (loopback, a "
            "socket): that is one store only if a relay on each leads to it."
        ),
        remedy="Give all nodes of a site one rtc_store_url, and each site a database of its own.",
    ),
    FindingType(
        id="RTC457",
        severity="warning",
        title="The clocks of nodes are apart",
        meaning="A token that one node has just made is not valid yet, or not any more, at another one.",
        detected="The nodes' clocks, each compared with the store's, differ by 10 seconds or more.",
        remedy="Set the clocks by NTP: chronyc tracking, or timedatectl, says how they are.",
    ),
    FindingType(
        id="RTC458",
        severity="error",
        title="Another store, or none, would leave the projects behind",
        meaning="Users would find empty projects: a run does not move what is in the present store.",
        detected=(
            "rtc_store_url means another host, port or database than the configuration of the running service, or "
            "the record of what is managed; and that store has projects, or cannot be asked."
        ),
        remedy=(
            "Move the projects as docs/scaling.md shows (Moving). If it is the same database by another name, "
            "name both hosts in rtc_store_url for one run."
        ),
    ),
    FindingType(
        id="RTC459",
        severity="warning",
        title="The state of the store is not known",
        meaning="What is wrong with it, if anything, is not among these findings.",
        detected=(
            "No RTC server on the host uses the store yet, or it could not ask it. A service that is about to be "
            "changed tries the store before, and is left alone where that fails."
        ),
        remedy="Correct what the message names. Where no service uses it yet, there is nothing to do.",
    ),
)
