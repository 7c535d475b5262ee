# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the vendor's page on RTC requires of an administrator, one by one.

Each is covered by findings (``FindingType.vendor_requirements``): ``docs/findings.md`` has the table, a test holds it.
"""

from __future__ import annotations

REQUIREMENTS: dict[str, str] = {
    "S01": "Changing the proxy or opening a port needs administration access to the server.",
    "S02": "Setting RTC's server name and port in the add-on needs an administrator of the application.",
    "S03": "The page and RTC speak the same protocol: both HTTP, or both HTTPS; else the browser blocks mixed content.",
    "S04": "Where TLS ends at the proxy for the application, it ends there for RTC too.",
    "S05": "The protocol shown for RTC (HTTP, HTTP + SSL, HTTPS) is a guess; it has to be what the network does.",
    "S06": "The RTC port has to be free.",
    "S07": "The RTC port should be above 1024.",
    "S08": "The default RTC port is 9083 beside Confluence and 9093 beside Jira; it can be changed.",
    "S09": "The RTC port has to be reachable on the whole way from the client.",
    "S10": "The full name of the server, or of the proxy in front of it, has to be right.",
    "S11": "The server name is usually the one of the application's base URL.",
    "S12": "A proxy has to forward the RTC port to the application host.",
    "S13": "The port at the proxy and the port of the service are the same number.",
    "S14": "The proxy's name has to resolve, and the proxy to be reachable, from the application host.",
    "S15": "With the proxy on the same host, Tomcat listens on another address, usually 127.0.0.1.",
    "S16": "With the proxy on the same host, it has the RTC port on the external address, the service on loopback.",
    "S17": "The application's Java has to trust the certificate that users see; an unknown root has to be imported.",
    "S18": "The full chain of the certificate has to be trusted, as the application connects to its own address.",
    "S19": "A self-signed certificate is for tests, and has to be imported into the application's Java.",
    "S20": "Where Tomcat ends TLS, server.xml names the certificate; RTC reads its key store from there.",
    "S21": "RTC is at the root of its port, even where the application has a context path.",
    "S22": "The proxy has to pass the Upgrade of a WebSocket on.",
    "S23": "The proxy has to speak HTTP/1.1 to the service.",
    "S24": "An idle WebSocket needs a long read timeout at the proxy.",
    "S25": "The connector's proxyName, proxyPort and scheme are what users see.",
    "S26": "The certificate of the proxy also serves the RTC port, under the same name.",
    "S27": "Confluence's Synchrony is proxied beside the application, with its WebSocket.",
    "S28": "A load balancer such as AWS needs a listener for the RTC port.",
    "S29": "The example server.xml sets maxPostSize: its default of 2 MB refuses large wireframes.",
    "S30": "Parts that a proxy includes, such as proxy_params, have to exist on that system.",
    "S31": "Polling and WebSocket requests of RTC have to be forwarded to the same service.",
    "S32": "server.xml has to be well-formed after it was edited.",
    "S33": "RTC is a service on the application's own server, and has to be up.",
    "S34": "The proxy's RTC port has the server name that the application has; one example has two different ones.",
}

# What only the page's example files say: detail of theirs -> what becomes of it here.
EXAMPLES: tuple[tuple[str, str], ...] = (
    ("The connector of the T6 example has scheme https without secure.", "RTC208; the role sets both."),
    ("The line with URIEncoding=\"U$ is cut off, so that the example is not well-formed.", "RTC201."),
    ("maxPostSize is 2097152, which is Tomcat's default.", "RTC212."),
    ("Connection is set to Upgrade for every request, with keepalive to the upstream.",
     "Accepted as it is; the role sends Connection as the request needs it."),
    ("X-Forwarded-Host, -Server and -For are set, X-Forwarded-Proto is not.",
     "The role sends the protocol that users speak; RTC210 where another one is sent and believed."),
    ("client_max_body_size and proxy_buffer_size are set for the application.",
     "The role sets larger ones where it writes that virtual host; not looked at in others."),
    ("proxy_params is included, a file of Debian alone.", "RTC411; the role's virtual hosts include nothing."),
    ("Apache sends polling by RewriteCond and WebSockets by ProxyPass to ws://.",
     "Both are understood (RTC405, RTC404); the role uses upgrade=websocket where Apache has it."),
    ("AllowEncodedSlashes is on in the virtual host of RTC.", "Not needed by Socket.IO; left as it is."),
    ("Ports other than the default are used for RTC: 8092, 9088, 9090.", "rtc_port; both sides the same (RTC402)."),
    ("keytool imports the certificate that s_client shows, which is the leaf alone.",
     "RTC303; the role imports the authority."),
)  # fmt: skip
