# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about reverse proxies and load balancers: RTC4xx. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._entry import Entry

ENTRIES = (
    Entry("RTC401", "error", "RTC speaks another protocol than the page",
          "A page over HTTPS may not open plain connections: the browser blocks RTC (mixed content).",
          "The proxy's RTC listener has TLS where the application's has none, or the other way round.",
          "Let both end TLS at the proxy, or none. The role does it where it writes the virtual host.",
          "reverse_proxy", ("S03", "S04")),
    Entry("RTC402", "error", "Different RTC ports on the two sides",
          "The add-on tells browsers the service's own port; the proxy has to have the same number.",
          "The proxy forwards to the RTC port from another port, or from the RTC port to another one.",
          "Use one number on both sides. The role does it where it writes the virtual host.",
          "reverse_proxy", ("S13",)),
    Entry("RTC403", "warning", "The proxy does not forward the RTC port",
          "Browsers cannot reach RTC.",
          "No virtual host of the proxy forwards to the RTC port.",
          "The role writes the virtual host.", "reverse_proxy", ("S12", "S09")),
    Entry("RTC404", "error", "RTC under a sub-path",
          "Clients ask for /socket.io/ at the root of the RTC port, whatever path the application has.",
          "A route to the RTC port is for a path other than /, or changes the path.",
          "Forward / to / on the RTC port. The role does it where it writes the virtual host.",
          "reverse_proxy", ("S21",)),
    Entry("RTC405", "warning", "WebSocket upgrade is not passed on",
          "Clients fall back to polling: slower, and more load.",
          "The route to the RTC port does not forward the Upgrade header.",
          "nginx: map $http_upgrade and set Upgrade and Connection. Apache: upgrade=websocket (2.4.47 or later)."
          " The role does"
          " it where it writes the virtual host.", "reverse_proxy", ("S22", "S31")),
    Entry("RTC406", "warning", "HTTP/1.0 to the service",
          "There is no Upgrade in HTTP/1.0, so no WebSocket.",
          "The route to the RTC port does not use HTTP/1.1 (1.0 is nginx's long-standing default).",
          "nginx: proxy_http_version 1.1. The role does it where it writes the virtual host.",
          "reverse_proxy", ("S23",)),
    Entry("RTC407", "warning", "Idle connections are cut before the next ping",
          "A quiet WebSocket carries a ping every 25 seconds and waits 20 for the answer; a shorter timeout cuts it.",
          "The read timeout of the route to the RTC port is below 45 seconds.",
          "nginx: proxy_read_timeout; Apache: ProxyTimeout; beyond 60 seconds. The role does it where it writes the"
          " virtual"
          " host.", "reverse_proxy", ("S24",)),
    Entry("RTC408", "warning", "HAProxy without timeout tunnel",
          "After the upgrade HAProxy counts the client and server timeouts, unless timeout tunnel is set.",
          "The HAProxy route to the RTC port has no tunnel timeout beyond 45 seconds.",
          "Set timeout tunnel 1h. The role does it where it writes the frontend.", "reverse_proxy", ("S24",)),
    Entry("RTC409", "warning", "Several nodes without stickiness",
          "Polling that reaches another node is answered 400 (Session ID unknown), and users of the application are"
          " logged out.",
          "A route to more than one active node, and nothing keeps a client at one.",
          "nginx: ip_hash; HAProxy: cookie; Apache: stickysession. The role does it where it writes the virtual host.",
          "reverse_proxy", ("S31",)),
    Entry("RTC410", "warning", "A proxy that the inventory does not list",
          "It has to forward the RTC port, and this collection cannot configure it.",
          "proxyName resolves to another host than any of the inventory, or the connector says that TLS ends"
          " elsewhere.",
          "Add the proxy's host to the group rtc_proxies and set rtc_proxy; or configure it by hand.", "", ("S12",
          "S01")),
    Entry("RTC411", "error", "The proxy refuses its own configuration",
          "It would not survive its next reload, whoever starts it. Nothing is changed before that is mended.",
          "The daemon's own check of its whole configuration fails.",
          "Mend what the daemon names.", "", ("S30",)),
    Entry("RTC412", "info", "AWS load balancer: set by hand",
          "An Application Load Balancer needs a listener for the RTC port and an idle timeout beyond the ping"
          " interval.",
          "rtc_proxy_kind is aws_alb.",
          "Add a listener on the RTC port, with the certificate, to a target group of the same port; set"
          " idle_timeout above"
          " 60 seconds; for several nodes turn stickiness on.", "", ("S28",)),
    Entry("RTC413", "info", "Synchrony is not proxied",
          "Collaborative editing of Confluence then goes through Tomcat, or fails where its WebSocket is cut.",
          "The virtual host of Confluence has no route for /synchrony.",
          "Forward /synchrony to port 8091 with its WebSocket, or set rtc_manage_application_vhost.",
          "reverse_proxy", ("S27",)),
    Entry("RTC414", "error", "Somebody else's virtual host has the name and port",
          "It is not overwritten, and it does not do what RTC, or the application, needs.",
          "A virtual host that this collection did not write serves the same name and port, and is not right.",
          "Remove it so that the role can write its own, or mend what the other findings name."),
    Entry("RTC415", "info", "A virtual host made by hand is right",
          "It is left as it is.",
          "A virtual host that this collection did not write forwards the name and port as needed.",
          "Nothing to do. Remove it if the role shall write and keep its own."),
    Entry("RTC416", "warning", "The proxy does not run",
          "Nobody reaches the site.",
          "The proxy is installed and no process of it was found.",
          "The role starts it.", "reverse_proxy", ("S09",)),
    Entry("RTC417", "info", "Parts of the proxy's configuration were not understood",
          "Routes in these parts are unknown.",
          "The reader of the configuration lists what it could not follow.",
          "Check these parts by hand, if the site is not what you expect."),
    Entry("RTC418", "error", "Several proxies on the host, and no way to choose",
          "Two proxies on one host are possible; writing to the wrong one helps nobody.",
          "More than one kind of proxy is on the host, none of them forwards to the application, and not exactly"
          " one runs.",
          "Set rtc_proxy_kind."),
    Entry("RTC419", "info", "RTC has one active node",
          "Without a shared store only one node serves RTC; the others take over when it fails.",
          "Several nodes and no rtc_store_url.",
          "Set rtc_store_url to a Redis or Valkey server that all nodes reach, to have all nodes active.",
          "", ("S31",)),
    Entry("RTC421", "warning", "The proxy does not forward to the application",
          "Users cannot reach the application by the server name.",
          "No virtual host of the proxy forwards to the connector, and rtc_manage_application_vhost is not set.",
          "Set rtc_manage_application_vhost: true, or write that virtual host by hand.", "reverse_proxy", ("S12",)),
    Entry("RTC422", "info", "Polling answers are buffered",
          "Answers to clients that poll go through a buffer, or a file, of the proxy first.",
          "The route to the RTC port has buffering on.",
          "nginx: proxy_buffering off. The role does it where it writes the virtual host.", "reverse_proxy", ("S31",)),
)  # fmt: skip
