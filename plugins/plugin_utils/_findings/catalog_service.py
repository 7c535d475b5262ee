# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the RTC service, the network and the operating system: RTC5xx and RTC6xx. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType

SERVICE = (
    FindingType(
        "RTC501",
        "error",
        "The RTC port is in use by another process",
        "RTC cannot start: the panel shows DOWN.",
        "Another process listens on the RTC port, on an address that the service or the proxy needs.",
        "Stop that process, or choose another port with rtc_port.",
        "",
        ("S06",),
    ),
    FindingType(
        "RTC502",
        "warning",
        "The RTC service does not run",
        "The panel shows DOWN.",
        "The unit of the RTC server exists and is not active.",
        "The role starts it. Its journal says why it stopped: journalctl -u rtc-server@confluence.",
        "rtc_server",
        ("S09", "S33"),
    ),
    FindingType(
        "RTC503",
        "error",
        "The service and the proxy fight for one address",
        "On one host the service has the port on loopback and the proxy has it on the external address; neither"
        " may have it on all.",
        "The RTC service listens on an address that the proxy on the same host needs, or the other way round.",
        "Bind the service to 127.0.0.1 (the add-on's own follows the connector's address) and the proxy to the"
        " external"
        " address.",
        "rtc_server",
        ("S16", "S15", "S06"),
    ),
    FindingType(
        "RTC504",
        "error",
        "The add-on's own service has the port",
        "Two services cannot share one port.",
        "rtc_service is deployed, and the application's own process listens on the RTC port.",
        "Switch RTC off in the add-on and restart the application, or set rtc_service: builtin.",
        "",
        ("S06",),
    ),
    FindingType(
        "RTC505",
        "info",
        "The add-on's own service is kept",
        "Server name and port are set in the add-on's page, by an administrator of the application.",
        "The RTC service is the add-on's own.",
        "In the add-on's configuration, tab Real-time Collaboration Service: set the server name and port that"
        " the message"
        " names, and check that the status is UP.",
        "",
        ("S02", "S08"),
    ),
    FindingType(
        "RTC506",
        "error",
        "The add-on's own service does not listen",
        "There is nothing to forward to.",
        "rtc_service is builtin, the application runs, and its process does not listen on the RTC port.",
        "Switch RTC on in the add-on, with this port, or set rtc_service: deployed.",
        "",
        ("S02", "S09", "S33"),
    ),
    FindingType(
        "RTC508",
        "error",
        "Python is too old for the RTC server",
        "The RTC server needs Python 3.10 or later on the host where it runs.",
        "No interpreter of 3.10 or later was found, or rtc_server_python is older.",
        "Install a newer Python beside the system's own and name it with rtc_server_python.",
        seed=("S33",),
    ),
    FindingType(
        "RTC509",
        "error",
        "No RTC server for this kind of machine",
        "The bundle has compiled parts; they exist for x86_64 and aarch64.",
        "The host's machine type is another one.",
        "Use rtc_service: builtin there.",
        seed=("S33",),
    ),
    FindingType(
        "RTC510",
        "error",
        "A shared store is asked for, and the RTC server has none yet",
        "Each node would keep a journal of its own, and users of two nodes would not see each other's changes.",
        "rtc_store_url is set for a site whose RTC server is deployed by this collection.",
        "Leave rtc_store_url out: one node is active, the others take over when it fails.",
    ),
)

NETWORK = (
    FindingType("RTC601", "error", "The server name does not resolve on the application host",
          "The application connects to its own address and to RTC through the proxy: RTC is DOWN without the name.",
          "The host's resolver has no address for the server name.",
          "Add the name to DNS, or to /etc/hosts of the application host.", "", ("S14", "S10")),
    FindingType("RTC602", "warning", "The server name leads elsewhere",
          "From the application host the name does not lead to the proxy that the inventory names. With address"
          " translation or"
          " split DNS that may be right.",
          "The addresses that the name has on the application host are not the proxy's, or not this host's where"
          " there is none.",
          "Compare with what users' machines resolve; correct DNS or /etc/hosts. The verification shows if it works.",
          "",
          ("S14", "S10")),
    FindingType("RTC603", "warning", "A firewall runs",
          "The RTC port has to be open where users, or the proxy, connect.",
          "firewalld or nftables is active on the host that listens on the RTC port for others.",
          "Open the port: firewall-cmd --permanent --add-port=9083/tcp && firewall-cmd --reload, with your RTC port.",
          "reverse_proxy", ("S09",)),
    FindingType("RTC604", "warning", "SELinux does not know the RTC port",
          "An enforcing SELinux refuses the proxy to listen on a port without the label http_port_t.",
          "SELinux is enforcing on the proxy host and the RTC port is not among http_port_t.",
          "semanage port -a -t http_port_t -p tcp 9083, with your RTC port. The role does it.",
          "reverse_proxy", ("S09",)),
    FindingType("RTC605", "warning", "SELinux forbids the proxy to connect",
          "The proxy answers 502: permission denied while connecting to upstream.",
          "SELinux is enforcing on the proxy host and httpd_can_network_connect is off.",
          "setsebool -P httpd_can_network_connect on. The role does it.", "reverse_proxy", ("S09",)),
    FindingType("RTC606", "error", "The server name is 127.0.0.1 on the application host",
          "The application would reach the RTC service past the proxy, with the wrong protocol.",
          "The proxy is on the same host, and the server name resolves to the address that the service itself has.",
          "In /etc/hosts give the name the host's external address (or 127.0.1.1) instead of 127.0.0.1.", "",
          ("S14", "S16")),
    FindingType("RTC607", "error", "An address to listen on is not this host's",
          "The proxy would not start.",
          "rtc_listen names an address that the proxy host does not have, or none is known.",
          "Correct rtc_listen.", seed=("S16",)),
    FindingType("RTC608", "info", "The server name was not looked up",
          "Whether it resolves on the application host is not known.",
          "Detection only looks up names that the configuration or the inventory gives; this one was concluded.",
          "Set rtc_server_name.", "", ("S14",)),
)  # fmt: skip
