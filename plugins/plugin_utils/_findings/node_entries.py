# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Later findings about sites of several nodes: RTC489 to RTC495, of the topic of ``catalog_proxy``."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType

ENTRIES = (
    FindingType(
        id="RTC489",
        severity="error",
        title="More than one host of the store takes writes",
        meaning=(
            "After a failover, changes that the old primary keeps are lost when it becomes a standby. Two servers"
            " that have nothing to do with each other are two stores."
        ),
        detected=(
            "Two hosts that rtc_store_url names take writes. Where their timelines tell which was promoted last, that "
            "one is used, and it is a warning."
        ),
        remedy="Stop PostgreSQL on all of them but the primary, and make standbys of them (pg_rewind, pg_basebackup).",
    ),
    FindingType(
        id="RTC490",
        severity="error",
        title="Apache lacks modules that several nodes need",
        meaning="The virtual host that passes RTC on to the nodes cannot be written: the run would stop there.",
        detected=(
            "proxy_balancer, lbmethod_bybusyness, lbmethod_byrequests or slotmem_shm is not loaded, and is not in"
            " Debian's mods-available, from where a run switches modules on."
        ),
        remedy=(
            "Load the modules: a2enmod proxy_balancer lbmethod_bybusyness lbmethod_byrequests slotmem_shm on Debian."
        ),
    ),
    FindingType(
        id="RTC491",
        severity="warning",
        title="Apache cannot ask the nodes for their health",
        meaning=(
            "It notices a node that is down by requests that fail. A node that runs and cannot keep changes, or that"
            " drains, goes on getting new sessions, which it refuses."
        ),
        detected="Several nodes behind Apache with plain HTTP to them, and no mod_proxy_hcheck that could be loaded.",
        remedy="Load the module, and run again: a2enmod proxy_hcheck on Debian.",
    ),
    FindingType(
        id="RTC492",
        severity="warning",
        title="Another node than until now would serve RTC",
        meaning=(
            "Without a shared store the first node in the inventory serves, and each has a journal of its own: what was"
            " done at the other one is not known there. An inventory that a program makes may change its order."
        ),
        detected=(
            "The virtual host that a run has written passes RTC on to one node of the site, the inventory names another"
            " one first, and both are there."
        ),
        remedy="Put the node that serves first in its group, or set rtc_store_url: then all nodes serve.",
    ),
    FindingType(
        id="RTC493",
        severity="error",
        title="Another proxy forwards to the application, too",
        meaning=(
            "A site has one proxy that gets RTC. Users who come through the other one, for example after it has"
            " taken over the address, have no RTC: a warning. Where each node has a proxy of its own, one of them"
            " would be taken for that of the site, and the other nodes' connectors would be opened for it: an"
            " error."
        ),
        detected=(
            "A proxy that runs on another host has a virtual host of the server name that forwards to a node, and none"
            " that forwards to the RTC port."
        ),
        remedy=(
            "Give the other proxy a virtual host of the RTC port by hand, as the first one has it. A run with another"
            " rtc_proxy would take that of the first away."
        ),
    ),
    FindingType(
        id="RTC494",
        severity="error",
        title="Two nodes have one address",
        meaning="The proxy would reach one node by the addresses of both, and sessions of the other would end.",
        detected="The address by which the proxy is to reach a node is that of another node of the site.",
        remedy=(
            "Give the connector in server.xml the address that the proxy reaches the node by, or let the proxy's"
            " virtual host of the application name each node by an address of its own."
        ),
    ),
    FindingType(
        id="RTC495",
        severity="error",
        title="Projects are moved into the store",
        meaning=(
            "The service stops, its projects are copied into the store and compared, and it starts with the store. It "
            "is only an error where another node would serve meanwhile, or serves now, as the first one does not run."
        ),
        detected="rtc_store_url is given, and the configuration of the service on the host has a journal of its own.",
        remedy=(
            "Nothing, where that is wanted. The journal is kept, and the way back is by hand (docs/scaling.md, Moving)."
        ),
    ),
)
