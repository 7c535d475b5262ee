# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the RTC service: RTC5xx."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType

ENTRIES = (
    FindingType(
        id="RTC501",
        severity="error",
        title="The RTC port is in use by another process",
        meaning="RTC cannot start: the panel shows DOWN.",
        detected="Another process listens on the RTC port, on an address that the service or the proxy needs.",
        remedy="Stop that process, or choose another port with rtc_port.",
        vendor_requirements=("S06",),
    ),
    FindingType(
        id="RTC502",
        severity="warning",
        title="The RTC service does not run",
        meaning="The panel shows DOWN.",
        detected="The unit of the RTC server exists and is not active.",
        remedy="A run starts it. Its log says why it stopped: journalctl -u rtc-server@confluence.",
        role="rtc_server",
        vendor_requirements=("S09", "S33"),
    ),
    FindingType(
        id="RTC503",
        severity="error",
        title="The service and the proxy compete for one address",
        meaning=(
            "On one host the service has the port on loopback and the proxy has it on the external address; neither "
            "may have it on all."
        ),
        detected="The RTC service listens on an address that the proxy on the same host needs, or the other way round.",
        remedy=(
            "Bind the service to 127.0.0.1 (the add-on's own follows the connector's address) and the proxy to the "
            "external address."
        ),
        role="rtc_server",
        vendor_requirements=("S16", "S15", "S06"),
    ),
    FindingType(
        id="RTC504",
        severity="error",
        title="The add-on's own service has the port",
        meaning="Two services cannot share one port.",
        detected="rtc_service is deployed, and the application's own process listens on the RTC port.",
        remedy="Switch RTC off in the add-on and restart the application, or set rtc_service: builtin.",
        vendor_requirements=("S06",),
    ),
    FindingType(
        id="RTC505",
        severity="info",
        title="The add-on's own service is kept",
        meaning="Server name and port are set in the add-on's page, by an administrator of the application.",
        detected="The RTC service is the add-on's own.",
        remedy=(
            "In the add-on's configuration, tab Real-time Collaboration Service: set the server name and port that "
            "the message names, and check that the status is UP."
        ),
        vendor_requirements=("S02", "S08"),
    ),
    FindingType(
        id="RTC506",
        severity="error",
        title="The add-on's own service does not listen",
        meaning="There is nothing to forward to.",
        detected="rtc_service is builtin, the application runs, and its process does not listen on the RTC port.",
        remedy="Switch RTC on in the add-on, with this port, or set rtc_service: deployed.",
        vendor_requirements=("S02", "S09", "S33"),
    ),
    FindingType(
        id="RTC508",
        severity="error",
        title="Python is too old for the RTC server",
        meaning="The RTC server needs Python 3.10 or later on the host where it runs.",
        detected="No interpreter of 3.10 or later was found, or rtc_server_python is older.",
        remedy="Install a newer Python beside the system's own and name it with rtc_server_python.",
        vendor_requirements=("S33",),
    ),
    FindingType(
        id="RTC509",
        severity="error",
        title="No RTC server for this kind of machine",
        meaning="The bundle has compiled parts; they exist for x86_64 and aarch64.",
        detected="The host's machine type is another one.",
        remedy="Use rtc_service: builtin there.",
        vendor_requirements=("S33",),
    ),
    FindingType(
        id="RTC511",
        severity="error",
        title="Two sites need one port of a host",
        meaning="Whoever comes second cannot listen, and the run would end half done.",
        detected=(
            "On one host the plan has two RTC services, an RTC service and a proxy, or two kinds of proxies on one "
            "port and address, for two sites."
        ),
        remedy="Give one of the sites another rtc_port.",
        vendor_requirements=("S06",),
    ),
    FindingType(
        id="RTC512",
        severity="error",
        title="systemd is too old for the RTC server",
        meaning="It ignores LoadCredential=, so the RTC server would start without its secret, and end at once.",
        detected="The RTC server is to be deployed, and systemd is older than 247 (RHEL 8 has 239).",
        remedy="Use a newer release of the operating system, or rtc_service: builtin.",
        vendor_requirements=("S33",),
    ),
    FindingType(
        id="RTC550",
        severity="error",
        title="The bundle cannot be used",
        meaning="It is damaged, incomplete, of another format or no bundle of the RTC server. Nothing of it is used.",
        detected=(
            "rtc_bundle names a file that does not begin as a bundle, or in which something differs from bundle.json: "
            "a missing or further file, a digest, a package that is not pinned in requirements.txt."
        ),
        remedy="Copy it again and compare its SHA-256, or build it again with collab.rtc.bundle.",
        vendor_requirements=("S33",),
    ),
    FindingType(
        id="RTC551",
        severity="error",
        title="The bundle is for other hosts",
        meaning="The packages have compiled parts, for one version of Python and one kind of machine each.",
        detected="rtc_bundle has nothing for the host's Python and machine, and the host does not keep the release.",
        remedy=(
            "Build a bundle that has, too (ansible-playbook collab.rtc.bundle), or choose another interpreter with "
            "rtc_server_python."
        ),
        vendor_requirements=("S33",),
    ),
    FindingType(
        id="RTC552",
        severity="error",
        title="No such release of the RTC server",
        meaning="Neither does the host keep the release that is asked for, nor has the controller got it.",
        detected=(
            "rtc_server_version means none of the releases in /opt/rtc-server/releases that run on the host's Python "
            "and machine, nor that of rtc_bundle or, without one, of the collection."
        ),
        remedy=(
            "Name one of the kept releases, or a bundle of that version in rtc_bundle; or leave rtc_server_version out."
        ),
        vendor_requirements=("S33",),
    ),
)
