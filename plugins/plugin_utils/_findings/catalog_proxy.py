# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about reverse proxies and load balancers: RTC4xx."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import store_entries

ENTRIES = (
    FindingType(
        id="RTC401",
        severity="error",
        title="RTC speaks another protocol than the page",
        meaning="A page over HTTPS may not open plain connections: the browser blocks RTC (mixed content).",
        detected="The proxy's RTC listener has TLS where the application's has none, or the other way round.",
        remedy="Let both end TLS at the proxy, or none. A run does it where it writes the virtual host.",
        role="reverse_proxy",
        vendor_requirements=("S03", "S04"),
    ),
    FindingType(
        id="RTC402",
        severity="error",
        title="Different RTC ports on the two sides",
        meaning="The add-on tells browsers the service's own port; the proxy has to have the same number.",
        detected="The proxy forwards to the RTC port from another port, or from the RTC port to another one.",
        remedy="Use one number on both sides. A run does it where it writes the virtual host.",
        role="reverse_proxy",
        vendor_requirements=("S13",),
    ),
    FindingType(
        id="RTC403",
        severity="warning",
        title="The proxy does not forward the RTC port",
        meaning="Browsers cannot reach RTC.",
        detected="No virtual host of the proxy forwards to the RTC port.",
        remedy="A run writes the virtual host.",
        role="reverse_proxy",
        vendor_requirements=("S12", "S09", "S34"),
    ),
    FindingType(
        id="RTC404",
        severity="error",
        title="RTC under a sub-path",
        meaning="Clients ask for /socket.io/ at the root of the RTC port, whatever path the application has.",
        detected="A route to the RTC port is for a path other than /, or changes the path.",
        remedy="Forward / to / on the RTC port. A run does it where it writes the virtual host.",
        role="reverse_proxy",
        vendor_requirements=("S21",),
    ),
    FindingType(
        id="RTC405",
        severity="warning",
        title="WebSocket upgrade is not passed on",
        meaning="Clients fall back to polling: slower, and more load.",
        detected="The route to the RTC port does not forward the Upgrade header.",
        remedy=(
            "nginx: map $http_upgrade and set Upgrade and Connection. Apache: upgrade=websocket (2.4.47 or"
            " later). A run does it where it writes the virtual host."
        ),
        role="reverse_proxy",
        vendor_requirements=("S22", "S31"),
    ),
    FindingType(
        id="RTC406",
        severity="warning",
        title="HTTP/1.0 to the service",
        meaning="There is no Upgrade in HTTP/1.0, so no WebSocket.",
        detected="The route to the RTC port does not use HTTP/1.1 (1.0 is nginx's long-standing default).",
        remedy="nginx: proxy_http_version 1.1. A run does it where it writes the virtual host.",
        role="reverse_proxy",
        vendor_requirements=("S23",),
    ),
    FindingType(
        id="RTC407",
        severity="warning",
        title="Idle connections are cut before the next ping",
        meaning=(
            "A quiet WebSocket carries a ping every 25 seconds and waits 20 for the answer; a shorter timeout cuts it."
        ),
        detected="The read timeout of the route to the RTC port is below 45 seconds.",
        remedy=(
            "nginx: proxy_read_timeout; Apache: ProxyTimeout; beyond 60 seconds. A run does it where it writes"
            " the virtual host."
        ),
        role="reverse_proxy",
        vendor_requirements=("S24",),
    ),
    FindingType(
        id="RTC408",
        severity="warning",
        title="HAProxy without timeout tunnel",
        meaning="After the upgrade HAProxy counts the client and server timeouts, unless timeout tunnel is set.",
        detected="The HAProxy route to the RTC port has no tunnel timeout beyond 45 seconds.",
        remedy="Set timeout tunnel 1h. A run does it in the backends that it writes.",
        role="reverse_proxy",
        vendor_requirements=("S24",),
    ),
    FindingType(
        id="RTC409",
        severity="warning",
        title="Several nodes without stickiness",
        meaning=(
            "Polling that reaches another node is answered 400 (Session ID unknown), and users of the application are"
            " logged out."
        ),
        detected="A route to more than one active node, and nothing keeps a client at one.",
        remedy=(
            "nginx: ip_hash; HAProxy: cookie; Apache: stickysession. A run does it where it writes the virtual host."
        ),
        role="reverse_proxy",
        vendor_requirements=("S31",),
    ),
    FindingType(
        id="RTC410",
        severity="warning",
        title="A proxy that the inventory does not list",
        meaning="It has to forward the RTC port, and this collection cannot configure it.",
        detected=(
            "proxyName resolves to another host than any of the inventory, or the connector says that TLS ends "
            "elsewhere."
        ),
        remedy="Add the proxy's host to the group rtc_proxies and set rtc_proxy; or configure it by hand.",
        vendor_requirements=("S12", "S01"),
    ),
    FindingType(
        id="RTC411",
        severity="error",
        title="The proxy refuses its own configuration",
        meaning="It would not survive its next reload, whoever starts it. Nothing is changed before that is fixed.",
        detected="The daemon's own check of its whole configuration fails.",
        remedy="Fix what the daemon names.",
        vendor_requirements=("S30",),
    ),
    FindingType(
        id="RTC412",
        severity="info",
        title="AWS load balancer: set by hand",
        meaning=(
            "An Application Load Balancer needs a listener for the RTC port and an idle timeout beyond the ping "
            "interval."
        ),
        detected="rtc_proxy_kind is aws_alb, and rtc_aws_load_balancer is not set.",
        remedy="Set rtc_aws_load_balancer: then a run sets it. Or set by hand what the finding lists.",
        vendor_requirements=("S28",),
    ),
    FindingType(
        id="RTC413",
        severity="info",
        title="Synchrony is not proxied",
        meaning="Collaborative editing of Confluence then goes through Tomcat, or fails where its WebSocket is cut.",
        detected="The virtual host of Confluence has no route for /synchrony.",
        remedy="Forward /synchrony to port 8091 with its WebSocket, or set rtc_manage_application_vhost.",
        role="reverse_proxy",
        vendor_requirements=("S27",),
    ),
    FindingType(
        id="RTC414",
        severity="error",
        title="Somebody else's virtual host has the name and port",
        meaning="It is not overwritten, and it does not do what RTC, or the application, needs.",
        detected="A virtual host that this collection did not write serves the same name and port, and is not right.",
        remedy="Remove it, so that a run can write its own, or fix what the other findings name.",
        vendor_requirements=("S34",),
    ),
    FindingType(
        id="RTC415",
        severity="info",
        title="A virtual host made by hand is right",
        meaning="It is left as it is.",
        detected="A virtual host that this collection did not write forwards the name and port as needed.",
        remedy="Nothing to do. Remove it if a run is to write and keep its own.",
    ),
    FindingType(
        id="RTC416",
        severity="warning",
        title="The proxy does not run",
        meaning="Nobody reaches the site.",
        detected="The proxy is installed and no process of it was found.",
        remedy="A run starts it.",
        role="reverse_proxy",
        vendor_requirements=("S09",),
    ),
    FindingType(
        id="RTC417",
        severity="info",
        title="Parts of the proxy's configuration were not understood",
        meaning="Routes in these parts are unknown.",
        detected="The reader of the configuration lists what it could not follow.",
        remedy="Check these parts by hand, if the site is not what you expect.",
    ),
    FindingType(
        id="RTC418",
        severity="error",
        title="Several proxies on the host, and no way to choose",
        meaning="Two proxies on one host are possible; writing to the wrong one helps nobody.",
        detected=(
            "More than one kind of proxy is on the host, none of them forwards to the application, and not exactly "
            "one runs."
        ),
        remedy="Set rtc_proxy_kind.",
    ),
    FindingType(
        id="RTC419",
        severity="info",
        title="RTC has one active node",
        meaning="Without a shared store only one node serves RTC; the others take over when it fails.",
        detected="Several nodes and no rtc_store_url.",
        remedy="Nothing to do. With rtc_store_url all nodes are active: see docs/scaling.md.",
        vendor_requirements=("S31",),
    ),
    FindingType(
        id="RTC421",
        severity="warning",
        title="The proxy does not forward to the application",
        meaning="Users cannot reach the application by the server name.",
        detected="No virtual host of the proxy forwards to the connector, and rtc_manage_application_vhost is not set.",
        remedy="Set rtc_manage_application_vhost: true, or write that virtual host by hand.",
        role="reverse_proxy",
        vendor_requirements=("S12",),
    ),
    FindingType(
        id="RTC422",
        severity="info",
        title="Polling answers are buffered",
        meaning="Answers to clients that poll go through a buffer, or a file, of the proxy first.",
        detected="The route to the RTC port has buffering on.",
        remedy="nginx: proxy_buffering off. A run does it where it writes the virtual host.",
        role="reverse_proxy",
        vendor_requirements=("S31",),
    ),
    FindingType(
        id="RTC423",
        severity="error",
        title="One port of a proxy with TLS and without",
        meaning="A port speaks one protocol: sites with and without TLS cannot share it.",
        detected="Two sites have the same proxy and the same port, and users speak TLS to only one of them.",
        remedy="Give one of the sites another rtc_port, or TLS to both.",
        vendor_requirements=("S04", "S08"),
    ),
    FindingType(
        id="RTC424",
        severity="error",
        title="The application would be unreachable",
        meaning="Users would be left without the application: no proxy would forward to it.",
        detected=(
            "The plan changes the connector for a proxy, or takes our virtual host of the application away, and no"
            " other one forwards the application's address afterwards."
        ),
        remedy=(
            "Set rtc_manage_application_vhost: true, or write that virtual host first. If users reach the application"
            " without a proxy, set rtc_proxy: none."
        ),
        vendor_requirements=("S12",),
    ),
    FindingType(
        id="RTC425",
        severity="error",
        title="A proxy would lose the application",
        meaning="It reaches the connector by an address of the network, and the connector would be on loopback only.",
        detected=(
            "The site's proxy is the application's host, and a proxy forwards to another address of the connector."
        ),
        remedy="Set rtc_proxy to the host of the proxy that forwards, or correct the route.",
        vendor_requirements=("S12",),
    ),
    FindingType(
        id="RTC426",
        severity="error",
        title="Another server has the ports of the proxy that would be installed",
        meaning="Two servers cannot have one port: the new one would be installed and enabled, and fail to start.",
        detected="The proxy is missing on its host, and something else listens on port 80 or on a port that it needs.",
        remedy="Set rtc_proxy_kind to the server that is there, or stop and remove that server first.",
    ),
    FindingType(
        id="RTC427",
        severity="info",
        title="A proxy is installed, and opens ports of its own",
        meaning="The distribution's package brings a configuration of its own, beside what the plan writes.",
        detected="The proxy that the inventory asks for is missing on its host.",
        remedy="Nothing to do. Remove the distribution's default site if nobody is to see it.",
        role="reverse_proxy",
    ),
    FindingType(
        id="RTC428",
        severity="warning",
        title="The proxy refuses a file of this collection",
        meaning="It would not survive its next reload. A run writes the file anew, and checks the whole configuration.",
        detected="The daemon's own check fails, and names a managed virtual host or a certificate in /etc/rtc-proxy.",
        remedy="Run the playbook.",
        role="reverse_proxy",
    ),
    FindingType(
        id="RTC429",
        severity="error",
        title="The proxy listens on the RTC port, and its configuration does not say why",
        meaning=(
            "Users would sometimes reach what listens there now and sometimes what the run writes, or the proxy"
            " would stop."
        ),
        detected=(
            "A process of the proxy listens on the RTC port, and no virtual host or Listen that could be read accounts"
            " for it."
        ),
        remedy=(
            "Find what makes it listen there: a variable, a file outside its configuration, another instance. If it was"
            " taken out of the configuration already, reload the server."
        ),
        vendor_requirements=("S12",),
    ),
    FindingType(
        id="RTC430",
        severity="error",
        title="Something stands in RTC's way at the proxy",
        meaning="Browsers do not reach RTC: what they ask for is answered by something else.",
        detected=(
            "On its own host the proxy was asked for /socket.io/ by name and port, as a browser asks, and the answer is"
            " not RTC's: a refusal, a redirect, another page, or a header that browsers do not accept."
        ),
        remedy=(
            "Take away what refuses or answers: access rules, redirects, an Access-Control-Allow-Origin that is"
            " set beside RTC's own, another virtual host. A virtual host that a run writes has none of them."
        ),
        vendor_requirements=("S12", "S34"),
    ),
    FindingType(
        id="RTC431",
        severity="info",
        title="Whether RTC passes a virtual host cannot be told",
        meaning="It is left as it is. Once RTC runs, the verification of a run shows it.",
        detected=(
            "A virtual host that this collection did not write has the name and port. RTC does not run yet, or it lets"
            " in only some clients, and reading its configuration does not tell either."
        ),
        remedy="Nothing to do if the verification succeeds. Otherwise remove it, so that a run can write its own.",
    ),
    FindingType(
        id="RTC432",
        severity="error",
        title="Another virtual host would answer in place of RTC's",
        meaning="httpd takes the first virtual host of an address that fits the name, and RTC's would be a later one.",
        detected="A ServerName or ServerAlias of a file that is read earlier fits the name by a wildcard.",
        remedy="Take that ServerAlias away, or name the file so that it is read last, such as zz-default.conf.",
        vendor_requirements=("S12",),
    ),
    FindingType(
        id="RTC440",
        severity="warning",
        title="The proxy cannot carry the people who use RTC beside the application",
        meaning=(
            "Everybody in RTC keeps a connection open through the proxy. When its limit is reached, the application on"
            " the same proxy does not answer either."
        ),
        detected=(
            "rtc_users of the proxy's sites, and the threads of their connectors, are more than it passes on: by"
            " MaxRequestWorkers and ServerLimit of Apache's MPM, half of worker_connections of nginx's workers, maxconn"
            " of HAProxy, and the descriptors that its processes may have."
        ),
        remedy="Raise the limits, as the finding says for this proxy.",
    ),
    FindingType(
        id="RTC441",
        severity="info",
        title="How many people the proxy carries",
        meaning="Everybody in RTC keeps a connection open through the proxy, beside those of the application.",
        detected="The proxy's limits, as its configuration and its processes have them.",
        remedy="Set rtc_users to how many people use the site at the same time: RTC440 says then if it is too few.",
    ),
    FindingType(
        id="RTC442",
        severity="error",
        title="The proxy reads no directory that virtual hosts could be written to",
        meaning="What the run writes would not be read, and RTC would not be there.",
        detected="No include of nginx's http block, or of httpd's main file, fits a file that would be written.",
        remedy="Add the include that the finding names to the proxy's main file, and reload the proxy.",
    ),
    FindingType(
        id="RTC443",
        severity="warning",
        title="A virtual host was written, and nobody has seen RTC pass it",
        meaning="It may work or not. It stays as it was written.",
        detected=(
            "When it was written the RTC service behind it did not answer, and the run's checks did not decide it: they"
            " were left out or could not be made, or they failed and the site was not rolled back."
        ),
        remedy=(
            "Run collab.rtc.verify once RTC and the application run. Undo it with collab.rtc.rollback and"
            " rtc_undo_site."
        ),
    ),
    *store_entries.ENTRIES,
    FindingType(
        id="RTC460",
        severity="info",
        title="The proxy notices a node that is down by requests that fail",
        meaning=(
            "The request that meets the node first waits for three seconds at most and goes to another one; the node is"
            " asked again after four. A node that runs and cannot keep changes is not noticed so."
        ),
        detected="Several nodes behind nginx, or behind Apache that speaks TLS to them.",
        remedy="Nothing to do. HAProxy, and Apache with plain HTTP to the nodes, ask RTC's /readyz.",
    ),
    FindingType(
        id="RTC461",
        severity="error",
        title="Nodes of one application have different RTC ports",
        meaning="Users come to the application by one address, and to RTC by one port of it: some would find nobody.",
        detected="Two sites of one product have the same address for users and different RTC ports.",
        remedy="Set rtc_port for the group, so that all nodes have the same.",
    ),
    FindingType(
        id="RTC462",
        severity="warning",
        title="The nodes have different versions of the application",
        meaning="A cluster runs one version, except during a rolling upgrade.",
        detected="The nodes of one site report different versions.",
        remedy="Finish the upgrade. What this run does is the same for all versions.",
    ),
    FindingType(
        id="RTC463",
        severity="error",
        title="A node without the shared home",
        meaning=(
            "It is no node of the cluster: behind the same proxy it would show users other data. Where none has one,"
            " the file of a node could not be read, or nodes name different ones, it is a warning."
        ),
        detected=(
            "confluence.cluster.home in confluence.cfg.xml or jira.shared.home in cluster.properties is on some nodes"
            " of the site and not on this one, or on none of them, or another one."
        ),
        remedy=(
            "Make it a node of the cluster as the product's documentation says, or give it a server name of its own"
            " (rtc_server_name)."
        ),
    ),
    FindingType(
        id="RTC464",
        severity="warning",
        title="RTC is kept at its node by cookie or address",
        meaning=(
            "Page and RTC have different ports, so browsers send no cookie while they poll, and the requests of a"
            " session reach several nodes. Stickiness by address works, but everybody behind one gateway is then"
            " at one node."
        ),
        detected="A virtual host of somebody else's passes RTC on to several active nodes.",
        remedy=(
            "Route by what the parameter sid ends in, as the virtual host does that is written where there is none:"
            " a dot and server.label of the RTC server's configuration."
        ),
        vendor_requirements=("S31",),
    ),
    FindingType(
        id="RTC465",
        severity="error",
        title="A node of the site is not in this run",
        meaning="The proxy would be written without it, and its users would lose it.",
        detected=(
            "By the record of the proxy its virtual host belongs to another host of the inventory, too, which --limit"
            " leaves out."
        ),
        remedy="Run without --limit, or with all nodes of the site and its proxy in it.",
    ),
)
