# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the network and the operating system: RTC6xx."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType

ENTRIES = (
    FindingType(
        id="RTC601",
        severity="error",
        title="The server name does not resolve on the application host",
        meaning=(
            "The application connects to its own address and to RTC through the proxy: RTC is DOWN without the name."
        ),
        detected="The host's resolver has no address for the server name.",
        remedy="Add the name to DNS, or to /etc/hosts of the application host.",
        vendor_requirements=("S14", "S10"),
    ),
    FindingType(
        id="RTC602",
        severity="warning",
        title="The server name leads elsewhere",
        meaning=(
            "From the application host the name does not lead to the proxy that the inventory names. With address "
            "translation or split DNS that may be right."
        ),
        detected=(
            "The addresses that the name has on the application host are not the proxy's, or not this host's where "
            "there is none."
        ),
        remedy=(
            "Compare with what users' machines resolve; correct DNS or /etc/hosts. The verification shows if it works."
        ),
        vendor_requirements=("S14", "S10"),
    ),
    FindingType(
        id="RTC603",
        severity="warning",
        title="A firewall runs",
        meaning="The RTC port has to be open where users, or the proxy, connect.",
        detected="firewalld, ufw or nftables is active on the host that listens on the RTC port for others.",
        remedy=(
            "Open the port with that firewall's command. Where firewalld runs on a managed proxy the role does it, and "
            "nothing is reported."
        ),
        role="reverse_proxy",
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC604",
        severity="warning",
        title="SELinux does not know the RTC port",
        meaning="An enforcing SELinux refuses the proxy to listen on a port without the label http_port_t.",
        detected="SELinux is enforcing on the proxy host and the RTC port is not among http_port_t.",
        remedy="semanage port -a -t http_port_t -p tcp 9083, with your RTC port. The role does it.",
        role="reverse_proxy",
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC605",
        severity="warning",
        title="SELinux forbids the proxy to connect",
        meaning="The proxy answers 502: permission denied while connecting to upstream.",
        detected=(
            "SELinux is enforcing on the proxy host and the boolean for the kind of proxy is off: "
            "httpd_can_network_connect for nginx and Apache, haproxy_connect_any for HAProxy."
        ),
        remedy="setsebool -P httpd_can_network_connect on, or haproxy_connect_any for HAProxy. The role does it.",
        role="reverse_proxy",
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC606",
        severity="error",
        title="The server name is 127.0.0.1 on the application host",
        meaning="The application would reach the RTC service past the proxy, with the wrong protocol.",
        detected=(
            "The proxy is on the same host, and the server name resolves to the address that the service itself has."
        ),
        remedy="In /etc/hosts give the name the host's external address (or 127.0.1.1) instead of 127.0.0.1.",
        vendor_requirements=("S14", "S16"),
    ),
    FindingType(
        id="RTC607",
        severity="error",
        title="An address to listen on is not this host's",
        meaning="The proxy would not start.",
        detected="rtc_listen names an address that the proxy host does not have, or none is known.",
        remedy="Correct rtc_listen.",
        vendor_requirements=("S16",),
    ),
    FindingType(
        id="RTC608",
        severity="info",
        title="The server name was not looked up",
        meaning="Whether it resolves on the application host is not known.",
        detected="Detection only looks up names that the configuration or the inventory gives; this one was concluded.",
        remedy="Set rtc_server_name.",
        vendor_requirements=("S14",),
    ),
    FindingType(
        id="RTC609",
        severity="error",
        title="SELinux's ports cannot be read",
        meaning="SELinux enforces, and without semanage the RTC port cannot get the label that the proxy needs.",
        detected="SELinux is enforcing on the proxy host, and semanage port -l does not run.",
        remedy="dnf install policycoreutils-python-utils, and run again. Nothing was changed.",
        vendor_requirements=("S09",),
    ),
)
