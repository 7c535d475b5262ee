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
        title="The RTC port is closed in a firewall, or may be",
        meaning="The RTC port has to be open where users, or the proxy, connect.",
        detected=(
            "The port is closed in a zone of firewalld on the host that listens on it for others; or the rules are not"
            " known, those of nftables never."
        ),
        remedy=(
            "Open the port with that firewall's command. Where firewalld runs on a managed proxy a run does it,"
            " and nothing is reported."
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
        remedy="semanage port -a -t http_port_t -p tcp 9083, with your RTC port. A run does it.",
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
        remedy="setsebool -P httpd_can_network_connect on, or haproxy_connect_any for HAProxy. A run does it.",
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
        remedy=(
            "Where there is no semanage: dnf install policycoreutils-python-utils. Else look at semanage port -l. Then"
            " run again. Nothing was changed."
        ),
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC640",
        severity="warning",
        title="firewalld starts at the next boot",
        meaning="It does not run, so nothing can be opened in it; after the next boot the RTC port may be closed.",
        detected="firewalld.service is enabled, and no firewall runs on a host that has the RTC port for others.",
        remedy="systemctl start firewalld, and run again; or systemctl disable firewalld.",
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC641",
        severity="info",
        title="firewalld is masked",
        meaning="It does not start, so nothing is opened in it. If it is meant to filter, start it before the run.",
        detected="firewalld.service is a link to /dev/null, or an empty file, and no other firewall is switched on.",
        remedy=(
            "Nothing to do if it is not meant to run. Otherwise: systemctl unmask firewalld && systemctl enable"
            " --now firewalld."
        ),
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC642",
        severity="warning",
        title="firewalld's rules are not known",
        meaning=(
            "Whether a rule keeps connections to the RTC port out, and whether the port can be opened, is not known."
        ),
        detected="firewalld runs on a managed proxy, and firewall-cmd --list-all-zones fails there.",
        remedy="firewall-cmd --state and journalctl -u firewalld say why; systemctl restart firewalld, and run again.",
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC643",
        severity="error",
        title="A rule of the firewall keeps connections to the RTC port out",
        meaning=(
            "It counts before the opened port, so opening the port changes nothing. It is a warning where it concerns"
            " only some clients, or one of several zones."
        ),
        detected=(
            "A rich rule of firewalld with reject or drop, or a rule of ufw with deny or reject, is about the port and"
            " comes before whatever lets it in."
        ),
        remedy="Remove the rule: the message has the command. Nothing was changed.",
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC644",
        severity="warning",
        title="Another zone of firewalld decides about some addresses",
        meaning="A zone with a source comes before the zone of the interface. A run leaves it as it is.",
        detected="A zone of firewalld with sources has the RTC port closed, and is not one that refuses everything.",
        remedy="Open the port in that zone too, where its clients need RTC: the message has the command.",
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC645",
        severity="warning",
        title="SELinux's policy does not have the boolean",
        meaning="It may forbid the proxy to connect to RTC (502), and cannot be told to let it.",
        detected=(
            "SELinux is enforcing on the proxy host, and /sys/fs/selinux/booleans has no httpd_can_network_connect"
            " (nginx, Apache) or haproxy_connect_any (HAProxy)."
        ),
        remedy="semodule -e apache, or haproxy, where that module is disabled; else reinstall the policy.",
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC646",
        severity="warning",
        title="SELinux assigns the RTC port to another service",
        meaning=(
            "A run makes it http_port_t, as the proxy could not listen there otherwise. What listens there under"
            " the other type may be refused at its next start. The former type comes back with the uninstall."
        ),
        detected="SELinux is enforcing on the proxy host, and has the RTC port itself under another type.",
        remedy="Set another rtc_port, or leave it to the run.",
        role="reverse_proxy",
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC647",
        severity="error",
        title="A file cannot be written, not even by root",
        meaning="The run would stop in the middle.",
        detected=(
            "Something that this run changes, or its directory, has chattr +i or +a, or is on a file system that is"
            " mounted read-only."
        ),
        remedy="chattr -i, or mount -o remount,rw: the message has the command. Nothing was changed.",
    ),
    FindingType(
        id="RTC648",
        severity="warning",
        title="ufw does not let connections to the RTC port in",
        meaning=(
            "Users, or the proxy, cannot connect. It is only information where rules let some addresses in: whether"
            " those are all who need it is not known."
        ),
        detected="ufw is enabled, and neither a rule of /etc/ufw/user.rules nor its default lets the port in.",
        remedy="ufw allow 9083/tcp, with your RTC port. No role changes ufw.",
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC649",
        severity="warning",
        title="ufw limits connections to the RTC port",
        meaning="Of users behind one address, as with NAT or a proxy, the sixth connection in 30 seconds is refused.",
        detected="The rule of ufw that lets the port in says limit.",
        remedy="ufw delete limit 9083/tcp && ufw allow 9083/tcp, with your RTC port.",
        vendor_requirements=("S09",),
    ),
)
