# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual hosts for RTC as people write them by hand, right ones and wrong ones.

Each stands on an address of its own. Words that are put in: ``ADDR`` its address, ``PORT`` the RTC port, ``NAME`` the
server name, ``RTC`` where the service listens (the same port on 127.0.0.1), ``OTHER`` another site's RTC service, ``APP``
an application, ``DEAD`` where nobody listens, ``NN`` its number, ``CERT``, ``KEY`` and ``PEM`` a certificate.
"""

from __future__ import annotations

HEADERS = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upNN;"
MAP = "map $http_upgrade $upNN { default upgrade; '' close; }\n"


def _server(inside, before=MAP, name="NAME", listen="ADDR:PORT"):
    return f"{before}server {{ listen {listen}; server_name {name}; {inside} }}\n"


def _location(path="/", target="http://RTC", more="", headers=HEADERS):
    return f"location {path} {{ proxy_pass {target}; {headers} {more} }}"


NGINX = {
    "the usual one": _server(_location()),
    "only the path of Engine.IO": _server(_location("/socket.io/") + " location / { return 404; }"),
    "an upstream block": MAP
    + "upstream rtcNN { server RTC; keepalive 8; }\n"
    + _server(_location(target="http://rtcNN"), ""),
    "a path that is stripped": _server(_location("/socket.io/", "http://RTC/")),
    "a path that is doubled": _server(_location("/", "http://RTC/socket.io/")),
    "a path replaced by itself": _server(_location("/socket.io/", "http://RTC/socket.io/")),
    "Upgrade takes the variable of Connection": _server(
        _location(headers="proxy_http_version 1.1; proxy_set_header Upgrade $upNN; proxy_set_header Connection $upNN;")
    ),
    "a map that is always close": _server(_location(), "map $http_upgrade $upNN { default close; }\n"),
    "a map of something else": _server(_location(), "map $http_origin $upNN { default upgrade; '' close; }\n"),
    "constant Upgrade": _server(
        _location(
            headers="proxy_http_version 1.1; proxy_set_header Upgrade websocket; proxy_set_header Connection upgrade;"
        )
    ),
    "constant Connection": _server(
        _location(
            headers="proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection Upgrade;"
        )
    ),
    "Connection of the client": _server(
        _location(
            headers="proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
            " proxy_set_header Connection $http_connection;"
        )
    ),
    "HTTP/1.0": _server(
        _location(headers="proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upNN;")
    ),
    "no Upgrade": _server(_location(headers="proxy_http_version 1.1;")),
    "headers of the location hide those of the server": _server(
        f"{HEADERS} location / {{ proxy_pass http://RTC; proxy_set_header Host $http_host; }}"
    ),
    "headers of the server": _server(f"{HEADERS} location / {{ proxy_pass http://RTC; }}"),
    "deny all": _server("deny all; " + _location()),
    "deny all in the location": _server(_location(more="deny all;")),
    "a password": _server("auth_basic x; auth_basic_user_file /dev/null; " + _location()),
    "a password, but not here": _server(
        "auth_basic x; auth_basic_user_file /dev/null; " + _location(more="auth_basic off;")
    ),
    "some clients only": _server("allow 192.0.2.0/24; deny all; " + _location()),
    "a regular expression takes every path": _server("location ~ ^/ { proxy_pass http://APP; } " + _location()),
    "a regular expression takes every path to RTC": _server(_location("~ ^/")),
    "a regular expression beats the prefix": _server(
        "location ~ \\.io { proxy_pass http://APP; } " + _location("/socket.io/")
    ),
    "a prefix that no regular expression beats": _server(
        "location ~ \\.io { proxy_pass http://APP; } " + _location("^~ /socket.io/")
    ),
    "the application has the longer prefix": _server("location /socket.io { proxy_pass http://APP; } " + _location()),
    "an exact location that does not fit": _server(_location("= /socket.io") + " location / { return 404; }"),
    "return for everything": _server("return 301 https://NAME$request_uri; " + _location()),
    "to https, as on port 80": _server("if ($scheme = http) { return 301 https://$host$request_uri; } " + _location()),
    "another port": _server(_location(target="http://DEAD")),
    "the application": _server(_location(target="http://APP")),
    "a variable": _server("set $there RTC; " + _location(target="http://$there")),
    "a rewrite": _server("rewrite ^/socket.io/(.*)$ /rtc/$1 break; " + _location()),
    "HTTPS to a plain service": _server(_location(target="https://RTC")),
    "a second Access-Control-Allow-Origin": _server("add_header Access-Control-Allow-Origin *; " + _location()),
    "only GET": _server(_location(more="limit_except GET { deny all; }")),
    "another name": _server(_location(), name="other.example.com")
    + "server { listen ADDR:PORT default_server; server_name _; return 404; }\n",
    "no name": _server(_location(), name="_"),
    "a time of 30 seconds": _server(_location(more="proxy_read_timeout 30s;")),
    "if in the location": _server(
        "location / { proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upNN;"
        " if ($http_upgrade) { proxy_pass http://APP; } proxy_pass http://RTC; }"
    ),
    "an error page that is not there": _server(
        "error_page 500 502 503 504 /50x.html; location = /50x.html { root /nowhere; } " + _location()
    ),
    "an error page with 200": _server(
        "error_page 502 =200 /50x.html; location = /50x.html { return 200; } " + _location()
    ),
    "an error page elsewhere": _server("error_page 502 =302 http://x.example/; " + _location()),
    "no key of a handshake": _server(_location(more='proxy_set_header Sec-WebSocket-Key "";')),
    "no Origin": _server(_location(more='proxy_set_header Origin "";')),
    "Upgrade is hidden": _server(_location(more="proxy_hide_header Upgrade;")),
    "shared with another page": _server(
        _location(
            more="proxy_hide_header Access-Control-Allow-Origin; add_header Access-Control-Allow-Origin http://x.example;"
        )
    ),
    "an Access-Control-Allow-Origin that is empty": _server(
        _location(more="add_header Access-Control-Allow-Origin '';")
    ),
    "a key of a map with a backslash": _server(
        _location(), "map $http_upgrade $upNN { \\websocket upgrade; default close; }\n"
    ),
}
# Called faulty for a reason that no client meets within a test: idle connections are cut.
SLOW = {("nginx", "a time of 30 seconds"), ("haproxy", "a short tunnel")}


def _vhost(inside, before=""):
    return f"{before}<VirtualHost ADDR:PORT>\nServerName NAME\n{inside}\n</VirtualHost>\n"


_OLD = (
    "RewriteEngine On\nRewriteCond %{HTTP:Upgrade} websocket [NC]\nRewriteCond %{HTTP:Connection} upgrade [NC]\n"
    "RewriteRule ^/?(.*) SCHEME://RTC/$1 [P,L]\n"
)
APACHE = {
    "the usual one": _vhost("ProxyPass / http://RTC/ upgrade=websocket"),
    "no upgrade": _vhost("ProxyPass / http://RTC/"),
    "the older way": _vhost(_OLD.replace("SCHEME", "ws") + "ProxyPass / http://RTC/"),
    "the older way to http": _vhost(_OLD.replace("SCHEME", "http") + "ProxyPass / http://RTC/"),
    "=websocket to http": _vhost(
        "RewriteEngine On\nRewriteCond %{HTTP:Upgrade} =websocket [NC]\nRewriteRule ^/(.*) http://RTC/$1 [P,L]\n"
        "ProxyPass / http://RTC/"
    ),
    "by the query": _vhost(
        "RewriteEngine On\nRewriteCond %{QUERY_STRING} transport=websocket [NC]\nRewriteRule ^/(.*) ws://RTC/$1 [P,L]\n"
        "ProxyPass / http://RTC/"
    ),
    "by a query that never comes": _vhost(
        "RewriteEngine On\nRewriteCond %{QUERY_STRING} transport=socket [NC]\nRewriteCond %{HTTP:Upgrade} websocket [NC]\n"
        "RewriteRule ^/(.*) ws://RTC/$1 [P,L]\nProxyPass / http://RTC/"
    ),
    "by a path that never comes": _vhost(
        "RewriteEngine On\nRewriteCond %{REQUEST_URI} ^/rtc/ [NC]\nRewriteCond %{HTTP:Upgrade} websocket [NC]\n"
        "RewriteRule ^/(.*) ws://RTC/$1 [P,L]\nProxyPass / http://RTC/"
    ),
    "by the path": _vhost(
        "RewriteEngine On\nRewriteCond %{REQUEST_URI} ^/socket.io/ [NC]\nRewriteCond %{HTTP:Upgrade} websocket [NC]\n"
        "RewriteRule ^/(.*) ws://RTC/$1 [P,L]\nProxyPass / http://RTC/"
    ),
    "an earlier rule takes everything": _vhost(
        "RewriteEngine On\nRewriteRule ^/(.*) http://APP/$1 [P,L]\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "an earlier ProxyPass takes it": _vhost(
        "ProxyPass /socket.io http://APP/socket.io\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "a later ProxyPass does not": _vhost(
        "ProxyPass / http://RTC/ upgrade=websocket\nProxyPass /socket.io http://APP/socket.io"
    ),
    "an exception": _vhost("ProxyPass /socket.io !\nProxyPass / http://RTC/ upgrade=websocket"),
    "the prefix is stripped": _vhost("ProxyPass /socket.io http://RTC upgrade=websocket"),
    "the prefix is kept": _vhost("ProxyPass /socket.io http://RTC/socket.io upgrade=websocket"),
    "a balancer in other letters": _vhost(
        "<Proxy balancer://RtcNN>\nBalancerMember http://RTC upgrade=websocket\n</Proxy>\nProxyPass / balancer://rtcNN/"
    ),
    "a balancer that does not upgrade": _vhost(
        "<Proxy balancer://rtcNN>\nBalancerMember http://RTC\n</Proxy>\nProxyPass / balancer://rtcNN/"
    ),
    "upgrade of the worker": _vhost(
        "<Proxy http://127.0.0.1:PORT/NN/>\nProxySet upgrade=websocket\n</Proxy>\n"
        "ProxyPass /socket.io/ http://RTC/NN/socket.io/\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "HTTP/1.0 for the upstream": _vhost("SetEnv force-proxy-request-1.0 1\nProxyPass / http://RTC/ upgrade=websocket"),
    "HTTP/1.0 for somebody": _vhost(
        "SetEnvIf User-Agent ^OldBrowser force-proxy-request-1.0\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "a location with a rule and ProxyPass": _vhost(
        "<Location /socket.io>\nRewriteEngine On\nRewriteCond %{HTTP:Upgrade} =websocket [NC]\n"
        "RewriteRule .* ws://RTC%{REQUEST_URI} [P]\nProxyPass http://RTC/socket.io\n</Location>"
    ),
    "a location": _vhost("<Location />\nProxyPass http://RTC/ upgrade=websocket\n</Location>"),
    "nobody is let in": _vhost(
        "<Location />\nRequire all denied\n</Location>\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "some clients only": _vhost(
        "<Location />\nRequire ip 192.0.2.0/24\n</Location>\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "a password": _vhost(
        "<Location />\nAuthType Basic\nAuthName x\nAuthUserFile /dev/null\nRequire valid-user\n</Location>\n"
        "ProxyPass / http://RTC/ upgrade=websocket"
    ),
    "a redirect": _vhost("Redirect permanent / https://NAME/\nProxyPass / http://RTC/ upgrade=websocket"),
    "a redirect of another path": _vhost(
        "Redirect permanent /old https://NAME/\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "a redirect by a rule": _vhost(
        "RewriteEngine On\nRewriteCond %{HTTPS} off\nRewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]\n"
        "ProxyPass / http://RTC/ upgrade=websocket"
    ),
    "forbidden by a rule": _vhost(
        "RewriteEngine On\nRewriteRule socket - [F]\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "a second Access-Control-Allow-Origin": _vhost(
        'Header always set Access-Control-Allow-Origin "*"\nProxyPass / http://RTC/ upgrade=websocket'
    ),
    "Access-Control-Allow-Origin once": _vhost(
        'Header set Access-Control-Allow-Origin "*"\nProxyPass / http://RTC/ upgrade=websocket'
    ),
    "another port": _vhost("ProxyPass / http://DEAD/ upgrade=websocket"),
    "the application": _vhost("ProxyPass / http://APP/"),
    "ws alone": _vhost("ProxyPass / ws://RTC/"),
    "a pattern": _vhost("ProxyPassMatch ^/socket.io/(.*)$ http://RTC/socket.io/$1 upgrade=websocket"),
    "no POST": _vhost(
        "<Location />\n<Limit POST>\nRequire all denied\n</Limit>\n</Location>\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "a worker that is shared": _vhost("ProxyPass /app http://RTC/\nProxyPass / http://RTC/ upgrade=websocket"),
    "a worker of its own": _vhost(
        "ProxyPass /socket.io/ http://RTC/socket.io/ upgrade=websocket\nProxyPass / http://RTC/"
    ),
    "a worker of a pattern": _vhost(
        "ProxyPassMatch ^/app/(.*)$ http://RTC/$1\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "a worker of a section": _vhost(
        "<Proxy http://RTC/>\nProxySet timeout=600\n</Proxy>\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "names of options in other letters": _vhost("ProxyPass / HTTP://RTC/ Upgrade=WebSocket"),
    "members with a path": _vhost(
        "<Proxy balancer://mNN>\nBalancerMember http://RTC/socket.io upgrade=websocket\n</Proxy>\n"
        "ProxyPass /socket.io balancer://mNN"
    ),
    "members with the path twice": _vhost(
        "<Proxy balancer://mNN>\nBalancerMember http://RTC/socket.io upgrade=websocket\n</Proxy>\n"
        "ProxyPass / balancer://mNN/"
    ),
    "HTTP/1.0 for every path": _vhost(
        "SetEnvIf Request_URI . force-proxy-request-1.0\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "HTTP/1.0 taken back": _vhost(
        "SetEnv force-proxy-request-1.0 1\nUnsetEnv force-proxy-request-1.0\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "shared with another page": _vhost(
        'Header set Access-Control-Allow-Origin "http://x.example"\nProxyPass / http://RTC/ upgrade=websocket'
    ),
    "Access-Control-Allow-Origin of errors taken out": _vhost(
        "Header always unset Access-Control-Allow-Origin\nProxyPass / http://RTC/ upgrade=websocket"
    ),
    "a blocked upstream": _vhost("ProxyBlock 127.0.0.1\nProxyPass / http://RTC/ upgrade=websocket"),
    "no Origin": _vhost("RequestHeader unset Origin\nProxyPass / http://RTC/ upgrade=websocket"),
    "the Upgrade is taken out": _vhost("RequestHeader unset Upgrade early\nProxyPass / http://RTC/ upgrade=websocket"),
}


def _frontend(inside, backend="server s RTC", bind="bind ADDR:PORT", more=""):
    return f"frontend fNN\n    {bind}\n    {inside}\n\nbackend rtcNN\n    {backend}\n\n{more}"


_APP = "backend appNN\n    server s APP\n\n"
HAPROXY = {
    "the usual one": _frontend("default_backend rtcNN", "timeout tunnel 1h\n    server s RTC"),
    "a listen section": "listen lNN\n    bind ADDR:PORT\n    timeout tunnel 1h\n    server s RTC\n\n",
    "TCP": _frontend("mode tcp\n    default_backend rtcNN", "mode tcp\n    timeout tunnel 1h\n    server s RTC"),
    "the name without its port": _frontend("use_backend rtcNN if { hdr(host) -i NAME }"),
    "the name with its port": _frontend(
        "use_backend rtcNN if { hdr(host) -i NAME:PORT }", "timeout tunnel 1h\n    server s RTC"
    ),
    "the name and its port, cut": _frontend(
        "use_backend rtcNN if { hdr(host),field(1,:) -i NAME }", "timeout tunnel 1h\n    server s RTC"
    ),
    "the beginning of the name": _frontend(
        "use_backend rtcNN if { hdr_beg(host) -i wiki. }", "timeout tunnel 1h\n    server s RTC"
    ),
    "the domain of the name": _frontend(
        "use_backend rtcNN if { hdr_dom(host) -i NAME }", "timeout tunnel 1h\n    server s RTC"
    ),
    "the end of the name": _frontend("use_backend rtcNN if { hdr_end(host) -i NAME }"),
    "deny": _frontend("http-request deny\n    default_backend rtcNN"),
    "deny in the backend": _frontend("default_backend rtcNN", "http-request deny\n    server s RTC"),
    "deny something else": _frontend(
        "http-request deny if { path_beg /admin }\n    default_backend rtcNN", "timeout tunnel 1h\n    server s RTC"
    ),
    "deny with 503": _frontend("http-request deny deny_status 503\n    default_backend rtcNN"),
    "some clients only": _frontend("http-request deny unless { src 192.0.2.0/24 }\n    default_backend rtcNN"),
    "to https": _frontend("http-request redirect scheme https unless { ssl_fc }\n    default_backend rtcNN"),
    "to https, the old way": _frontend("redirect scheme https unless { ssl_fc }\n    default_backend rtcNN"),
    "a redirect of another path": _frontend(
        "redirect prefix /confluence if { path / }\n    default_backend rtcNN", "timeout tunnel 1h\n    server s RTC"
    ),
    "WebSockets elsewhere": _frontend(
        "use_backend appNN if { hdr(upgrade) -i websocket }\n    default_backend rtcNN", more=_APP
    ),
    "WebSockets by the header": _frontend(
        "use_backend rtcNN if { hdr(upgrade) -i websocket }\n    default_backend appNN",
        more=_APP,
    ),
    "WebSockets of another service": _frontend(
        "use_backend otherNN if { hdr(upgrade) -i websocket }\n    default_backend rtcNN",
        more="backend otherNN\n    server s OTHER\n\n",
    ),
    "WebSockets of a backend of their own": _frontend(
        "use_backend wsNN if { hdr(upgrade) -i websocket }\n    default_backend rtcNN",
        "timeout tunnel 1h\n    server s RTC",
        more="backend wsNN\n    timeout tunnel 1h\n    server s RTC\n\n",
    ),
    "by the path": _frontend(
        "use_backend rtcNN if { path_beg /socket.io/ }\n    default_backend appNN",
        "timeout tunnel 1h\n    server s RTC",
        more=_APP,
    ),
    "by another path": _frontend("use_backend rtcNN if { path_beg /rtc/ }\n    default_backend appNN", more=_APP),
    "not by a path": _frontend("use_backend appNN if { path_beg /socket }\n    default_backend rtcNN", more=_APP),
    "neither of two": _frontend(
        "acl a path_beg /socket.io\n    acl b hdr(host) -i other.example.com\n    use_backend rtcNN if a b\n"
        "    default_backend appNN",
        more=_APP,
    ),
    "one of two": _frontend(
        "acl a path_beg /socket.io\n    acl b hdr(host) -i other.example.com\n    use_backend rtcNN if a or b\n"
        "    default_backend appNN",
        "timeout tunnel 1h\n    server s RTC",
        more=_APP,
    ),
    "an earlier use_backend": _frontend(
        "use_backend appNN if { path_beg / }\n    use_backend rtcNN if { path_beg /socket.io }", more=_APP
    ),
    "Upgrade is deleted": _frontend("http-request del-header Upgrade\n    default_backend rtcNN"),
    "Upgrade is deleted in the backend": _frontend(
        "default_backend rtcNN", "http-request del-header upgrade\n    server s RTC"
    ),
    "Upgrade is set": _frontend("http-request set-header Upgrade h2c\n    default_backend rtcNN"),
    "the path is set": _frontend("http-request set-path /rtc%[path]\n    default_backend rtcNN"),
    "send-proxy": _frontend("default_backend rtcNN", "server s RTC send-proxy"),
    "TLS to a plain service": _frontend("default_backend rtcNN", "server s RTC ssl verify none"),
    "a server that is disabled": _frontend("default_backend rtcNN", "server s RTC disabled"),
    "another port": _frontend("default_backend rtcNN", "server s DEAD"),
    "the application": _frontend("default_backend rtcNN", "server s APP"),
    "a short tunnel": _frontend("default_backend rtcNN", "timeout tunnel 30s\n    server s RTC"),
    "a computed backend": _frontend("use_backend %[str(rtcNN)]", "timeout tunnel 1h\n    server s RTC"),
    "a second Access-Control-Allow-Origin": _frontend(
        "http-response add-header Access-Control-Allow-Origin *\n    default_backend rtcNN",
        "timeout tunnel 1h\n    server s RTC",
    ),
    "Access-Control-Allow-Origin is replaced": _frontend(
        "http-response set-header Access-Control-Allow-Origin *\n    default_backend rtcNN",
        "timeout tunnel 1h\n    server s RTC",
    ),
    "only GET": _frontend("http-request deny if METH_POST\n    default_backend rtcNN"),
    "Connection is closed": _frontend("http-request set-header Connection close\n    default_backend rtcNN"),
    "no key of a handshake": _frontend("http-request del-header Sec-WebSocket-Key\n    default_backend rtcNN"),
    "headers in other letters": _frontend(
        "http-request del-header ^Sec- -m reg\n    default_backend rtcNN", "timeout tunnel 1h\n    server s RTC"
    ),
    "headers by a pattern": _frontend("http-request del-header ^sec- -m reg\n    default_backend rtcNN"),
    "Upgrade is taken out of the answer": _frontend("http-response del-header Upgrade\n    default_backend rtcNN"),
    "shared with another page": _frontend(
        "http-response set-header Access-Control-Allow-Origin http://x.example\n"
        "    use_backend rtcNN if { hdr(host),field(1,:) -i NAME }",
        "timeout tunnel 1h\n    server s RTC",
    ),
    "Access-Control-Allow-Origin never": _frontend(
        "http-response add-header Access-Control-Allow-Origin * if FALSE\n    default_backend rtcNN",
        "timeout tunnel 1h\n    server s RTC",
    ),
    "the name by a pattern": _frontend(
        "use_backend rtcNN if { hdr(host) -m reg -i ^wiki\\.example\\.com(:\\d+)?$ }",
        "timeout tunnel 1h\n    server s RTC",
    ),
    "the name by a pattern, without its port": _frontend(
        "use_backend rtcNN if { hdr(host) -m reg -i ^wiki\\.example\\.com$ }", "timeout tunnel 1h\n    server s RTC"
    ),
    "an error page elsewhere": _frontend(
        "errorloc 503 http://x.example/\n    default_backend rtcNN", "timeout tunnel 1h\n    server s RTC"
    ),
    "a check of a connection": _frontend("default_backend rtcNN", "timeout tunnel 1h\n    server s RTC check"),
    "two that scatter": _frontend("default_backend rtcNN", "server a RTC\n    server b OTHER"),
}
TEXTS = {"nginx": NGINX, "apache": APACHE, "haproxy": HAPROXY}

# Of page and RTC over TLS: what speaks TLS as it should, and what does not.
TLS = {
    "nginx": {
        "TLS": _server("ssl_certificate CERT; ssl_certificate_key KEY; " + _location(), listen="ADDR:PORT ssl"),
        "TLS forgotten": _server(_location()),
        "certificates of clients": _server(
            "ssl_certificate CERT; ssl_certificate_key KEY; ssl_client_certificate CERT; ssl_verify_client on; "
            + _location(),
            listen="ADDR:PORT ssl",
        ),
    },
    "apache": {
        "TLS": _vhost(
            "SSLEngine on\nSSLCertificateFile CERT\nSSLCertificateKeyFile KEY\nProxyPass / http://RTC/ upgrade=websocket"
        ),
        "TLS forgotten": _vhost("ProxyPass / http://RTC/ upgrade=websocket"),
    },
    "haproxy": {
        "TLS": _frontend("default_backend rtcNN", "timeout tunnel 1h\n    server s RTC", "bind ADDR:PORT ssl crt PEM"),
        "TLS forgotten": _frontend("default_backend rtcNN", "timeout tunnel 1h\n    server s RTC"),
        "to https": _frontend(
            "http-request redirect scheme https unless { ssl_fc }\n    default_backend rtcNN",
            "timeout tunnel 1h\n    server s RTC",
            "bind ADDR:PORT ssl crt PEM",
        ),
    },
}
