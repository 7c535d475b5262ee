# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What reading says of RTC's requests where virtual hosts change headers, limit, share workers, check or keep.

All rows were tried on nginx 1.22, httpd 2.4 and HAProxy 2.6 with real clients and a real RTC server: what reading calls
right works there, and what it calls wrong does not. Where it cannot know it says so.
"""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import parser as apache_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import reader as apache_reader
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import parser as haproxy_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import reader as haproxy_reader
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import parser as nginx_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import reader as nginx_reader

RIGHT, NO_WEBSOCKET, STOPPED, UNTOLD, SOME = "right", "no WebSocket", "stopped", "cannot be told", "some clients only"
NAME = "wiki.example.com"
SHARING = "Access-Control-Allow-Origin"
UP = "ProxyPass / http://127.0.0.1:9083/ upgrade=websocket"
UPGRADES = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $up;"
OLD_RULE = "RewriteEngine On\nRewriteCond {}\nRewriteRule ^/?(.*) ws://127.0.0.1:9083/$1{} [{}]\nProxyPass / http://127.0.0.1:9083/"

RULE = "RewriteEngine On\nRewriteRule ^/(.*) http://127.0.0.1:9083/$1 [P]"


def say(host):
    """What reading says of a virtual host."""
    routes = [route for route in host.routes if route.polling is not False or route.websocket is not False]
    if host.stops:
        return STOPPED
    if host.doubts:
        return UNTOLD
    if host.sources:
        return SOME
    return RIGHT if any(route.upgrade and route.websocket for route in routes) else NO_WEBSOCKET


def read_nginx(tmp_path, inside, before="", name=NAME, rows="default upgrade; '' close;"):
    text = (
        f"http {{ map $http_upgrade $up {{ {rows} }} {before}\nserver {{ listen 9083; server_name {name};\n"
        f"location / {{ proxy_pass http://127.0.0.1:9083; {UPGRADES}\n{inside}\n}} }} }}"
    )
    (tmp_path / "x").write_text(text)
    (host,) = nginx_reader.read_virtual_hosts(nginx_parser.parse(str(tmp_path / "x")))
    return host


def read_apache(tmp_path, inside):
    (tmp_path / "x").write_text(f"<VirtualHost *:9083>\nServerName {NAME}\n{inside}\n</VirtualHost>\n")
    options = apache_parser.ParserOptions(every_module=True)
    (host,) = apache_reader.read_virtual_hosts(apache_parser.parse(str(tmp_path / "x"), options))
    return host


def read_haproxy(tmp_path, front, back="", server="", use=f"use_backend rtc if {{ hdr(host),field(1,:) -i {NAME} }}"):
    text = (
        f"frontend f\n  bind *:9083\n  mode http\n  {front}\n  {use}\n"
        f"backend rtc\n  mode http\n  {back}\n  server s 127.0.0.1:9083 {server}\n"
    )
    (tmp_path / "x").write_text(text)
    (host,) = haproxy_reader.read_virtual_hosts(haproxy_parser.parse([str(tmp_path / "x")]))
    return host


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("", RIGHT),
        ('proxy_set_header Sec-WebSocket-Key "";', NO_WEBSOCKET),
        ("proxy_set_header Sec-WebSocket-Key $http_sec_websocket_key;", RIGHT),
        ("proxy_set_header Sec-WebSocket-Version 8;", UNTOLD),
        ('proxy_set_header Origin "";', STOPPED),
        ("proxy_set_header Origin $http_origin;", RIGHT),
        ("proxy_set_header Origin https://x.example;", UNTOLD),
        ('proxy_set_header Content-Length "";', UNTOLD),
        ("proxy_set_header Transfer-Encoding chunked;", UNTOLD),
        ("proxy_set_body x;", UNTOLD),
        ("proxy_hide_header Sec-WebSocket-Accept;", NO_WEBSOCKET),
        ("proxy_hide_header Upgrade;", NO_WEBSOCKET),
        ("proxy_hide_header X-Powered-By;", RIGHT),
        ("limit_conn c 1;", SOME),
        ("limit_conn c 100;", RIGHT),
        ("limit_conn c 1; limit_conn_dry_run on;", RIGHT),
        ("limit_req zone=r;", UNTOLD),
        ("limit_req zone=r; limit_req_dry_run on;", RIGHT),
        ("limit_req zone=none;", RIGHT),  # it leaves out what has an empty key
        ("limit_req zone=rest;", UNTOLD),
        ("limit_conn none 1;", RIGHT),
        ("limit_conn rest 1;", SOME),
        ("client_max_body_size 1k;", SOME),
        ("client_max_body_size 0;", RIGHT),
        ("client_max_body_size 1m;", RIGHT),
        ("proxy_cache c;", RIGHT),
        ("proxy_cache c; proxy_ignore_headers Cache-Control;", UNTOLD),
        ("sub_filter a b; sub_filter_types *;", UNTOLD),
        ("sub_filter a b;", RIGHT),
        (f"add_header {SHARING} *;", STOPPED),
        (f"add_header {SHARING} '';", RIGHT),
        (f"add_header {SHARING} $cors;", STOPPED),  # it is not empty for the site's own pages
        (f"proxy_hide_header {SHARING}; add_header {SHARING} $cors;", RIGHT),
        (f"proxy_hide_header {SHARING}; add_header {SHARING} https://{NAME};", RIGHT),
        (f"proxy_hide_header {SHARING}; add_header {SHARING} https://x.example;", STOPPED),
        (f"proxy_hide_header {SHARING}; add_header {SHARING} $unknown;", UNTOLD),
        (f"if ($request_method = 'OPTIONS') {{ add_header {SHARING} *; return 204; }}", RIGHT),  # none of RTC's
        (f"if ($request_method = GET) {{ add_header {SHARING} *; }}", STOPPED),
        (f"if ($request_method = POST) {{ add_header {SHARING} *; }}", STOPPED),
        (f"if ($request_method = PUT) {{ add_header {SHARING} *; }}", RIGHT),
        (f"if ($http_origin ~ wiki) {{ add_header {SHARING} $http_origin; }}", STOPPED),
        (f"if ($http_origin ~ other) {{ add_header {SHARING} $http_origin; }}", RIGHT),
        (f"if ($http_x) {{ add_header {SHARING} *; }}", UNTOLD),
        (f"add_header {SHARING} *; if ($request_method ~ GET|POST) {{ add_header X-Other 1; }}", RIGHT),  # in its place
        (f"proxy_hide_header {SHARING}; if ($request_method ~ GET|POST) {{ add_header {SHARING} *; }}", RIGHT),
        (f"proxy_hide_header {SHARING}; if ($request_method = GET) {{ add_header {SHARING} *; }}", STOPPED),
        ('if ($http_origin !~ "^https?://(wiki|jira)[.]example[.]com$") { return 403; }', RIGHT),
        ("if ($http_origin !~ jira) { return 403; }", STOPPED),
    ],
)
def test_nginx(tmp_path, inside, said):
    zones = "map $http_origin $cors { default ''; ~wiki $http_origin; } map $host $empty { default ''; }"
    for kind, rate in (("conn", ""), ("req", " rate=1r/m")):
        zones += f" limit_{kind}_zone $empty zone=none:1m{rate}; limit_{kind}_zone $remote_addr zone=rest:1m{rate};"
    if "add_header" not in inside:
        inside = inside.replace("proxy_set_header", UPGRADES + " proxy_set_header")
    assert say(read_nginx(tmp_path, inside, zones)) == said


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("\\websocket upgrade; default close;", RIGHT),
        ("websocket upgrade; default close;", RIGHT),
        ("~*WEBSOCKET upgrade; default close;", RIGHT),
        ("\\default upgrade; default close;", NO_WEBSOCKET),
        ("volatile; default upgrade; '' close;", RIGHT),
    ],
)
def test_rows_of_a_map(tmp_path, rows, said):
    assert say(read_nginx(tmp_path, "", rows=rows)) == said


@pytest.mark.parametrize(
    ("inside", "page"),
    [
        ("error_page 500 502 503 504 /50x.html;", "error_page 500 502 503 504 /50x.html"),
        ("error_page 502 =200 /50x.html;", "error_page 502 =200 /50x.html"),
        ("error_page 404 /404.html;", ""),
    ],
)
def test_what_answers_for_an_upstream_of_nginx(tmp_path, inside, page):
    host = read_nginx(tmp_path, inside)
    assert host.pages.endswith(page)
    assert bool(host.pages) == bool(page)


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (UP, RIGHT),
        ("proxypass / HTTP://127.0.0.1:9083/ Upgrade=WebSocket", RIGHT),
        # Workers are shared, and then the options of the first count.
        (f"ProxyPass /app http://127.0.0.1:9083/\n{UP}", NO_WEBSOCKET),
        (f"ProxyPass /app http://127.0.0.1:9083\n{UP}", NO_WEBSOCKET),
        (f"<Location /app>\nProxyPass http://127.0.0.1:9083/\n</Location>\n{UP}", NO_WEBSOCKET),
        (f"ProxyPassMatch ^/app/(.*)$ http://127.0.0.1:9083/$1\n{UP}", NO_WEBSOCKET),
        (f"<Proxy http://127.0.0.1:9083/>\nProxySet timeout=600\n</Proxy>\n{UP}", NO_WEBSOCKET),
        (f"{UP}\n<Proxy http://127.0.0.1:9083/>\nProxySet timeout=600\n</Proxy>", RIGHT),
        (f"<Proxy http://127.0.0.1:9083/>\nRequire all granted\n</Proxy>\n{UP}", RIGHT),
        (f"ProxyPass /app http://127.0.0.1:8090/\n{UP}", RIGHT),
        (f"ProxyPass /app http://127.0.0.1:9083/app\n{UP}", RIGHT),
        (
            "ProxyPass /app http://127.0.0.1:9083/\n"
            "ProxyPassMatch ^/socket.io/(.*)$ http://127.0.0.1:9083/socket.io/$1 upgrade=websocket",
            RIGHT,
        ),
        ("ProxyPass / http://127.0.0.1:9083/ upgrade=websocket max=1", SOME),
        (OLD_RULE.format("%{HTTP:Upgrade} websocket [NC]", "", "P,L"), RIGHT),
        (OLD_RULE.format("%{HTTP:Upgrade} websocket [NC]", "?a=b", "P,L"), UNTOLD),
        (OLD_RULE.format("%{HTTP:Upgrade} websocket [NC]", "?a=b", "P,L,QSA"), RIGHT),
        (OLD_RULE.format("%{HTTP:Upgrade} websocket [NC]", "?%{QUERY_STRING}", "P"), RIGHT),
        (OLD_RULE.format("%{HTTP:Upgrade} websocket [NC]", "", "P,QSD"), UNTOLD),
        (OLD_RULE.format("%{HTTP:Upgrade} websocket [NC]", "", "P,B"), UNTOLD),
        (OLD_RULE.format("expr \"req('Upgrade') == 'websocket'\"", "", "P,L"), UNTOLD),
        (f"RequestHeader unset Sec-WebSocket-Key\n{UP}", NO_WEBSOCKET),
        (f"RequestHeader set Connection close\n{UP}", RIGHT),
        (f"RequestHeader edit Upgrade websocket h2c early\n{UP}", UNTOLD),
        (f"RequestHeader unset Origin\n{UP}", STOPPED),
        (f"RequestHeader set Origin https://x.example\n{UP}", UNTOLD),
        (f'Header set {SHARING} "https://x.example"\n{UP}', STOPPED),
        (f'Header set {SHARING} "https://{NAME}"\n{UP}', RIGHT),
        (f"Header always unset {SHARING}\n{UP}", RIGHT),
        (f"Header unset {SHARING}\n{UP}", STOPPED),
        (f'Header setifempty {SHARING} "*"\n{UP}', RIGHT),
        (f'Header always setifempty {SHARING} "*"\n{UP}', STOPPED),
        (f'Header edit {SHARING} ".*" "https://x.example"\n{UP}', UNTOLD),
        (f'Header add {SHARING}: "*"\n{UP}', STOPPED),
        (f'Header always set {SHARING} "%{{O}}e" env=O\n{UP}', UNTOLD),
        (f"SetEnvIf Request_URI . force-proxy-request-1.0\n{UP}", NO_WEBSOCKET),
        (f"SetEnvIf Request_URI ^/app force-proxy-request-1.0\n{UP}", RIGHT),
        (f"SetEnvIf Upgrade . force-proxy-request-1.0=1\n{UP}", NO_WEBSOCKET),
        (f"SetEnvIf Remote_Addr ^10 force-proxy-request-1.0\n{UP}", UNTOLD),
        (f'BrowserMatch ".*" force-proxy-request-1.0\n{UP}', NO_WEBSOCKET),
        (f'BrowserMatch "MSIE [2-6]" force-proxy-request-1.0\n{UP}', RIGHT),
        (
            "SetEnvIf Request_URI . force-proxy-request-1.0\n"
            f"SetEnvIf Request_URI ^/socket !force-proxy-request-1.0\n{UP}",
            RIGHT,
        ),
        (f"RewriteEngine On\nRewriteRule ^ - [E=force-proxy-request-1.0:1]\n{UP}", UNTOLD),
        (f"SetEnv force-proxy-request-1.0 1\nUnsetEnv force-proxy-request-1.0\n{UP}", RIGHT),
        (f"ProxyBlock 127.0.0.1\n{UP}", STOPPED),
        (f"ProxyBlock x.example\n{UP}", UNTOLD),
        (
            "<Proxy balancer://b>\nBalancerMember http://127.0.0.1:9083/socket.io upgrade=websocket\n</Proxy>\n"
            "ProxyPass /socket.io balancer://b",
            RIGHT,
        ),
        (
            "<Proxy balancer://b>\nBalancerMember http://127.0.0.1:9083/socket.io upgrade=websocket\n</Proxy>\n"
            "ProxyPass / balancer://b/",
            NO_WEBSOCKET,
        ),
        # A rule goes by the worker of the ProxyPass that is nearest to its address.
        (f"{RULE}\n{UP}", RIGHT),
        (f"{RULE}\nProxyPass /x http://127.0.0.1:9083/socket.io upgrade=websocket", RIGHT),
        (f"{RULE}\nProxyPass /x http://127.0.0.1:9083/socket.io\nProxyPass /y http://127.0.0.1:9083/ upgrade=websocket",
         NO_WEBSOCKET),
        (f"{RULE}\nProxyPass /x http://127.0.0.1:9083/rtc upgrade=websocket", NO_WEBSOCKET),
        (f"{RULE}\nProxyPass /x http://127.0.0.1:90830/ upgrade=websocket", NO_WEBSOCKET),
    ],
)  # fmt: skip
def test_apache(tmp_path, inside, said):
    assert say(read_apache(tmp_path, inside)) == said


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("ProxyPass /app http://127.0.0.1:9083/", NO_WEBSOCKET),
        ("<Proxy http://127.0.0.1:9083/>\nProxySet timeout=600\n</Proxy>", NO_WEBSOCKET),
        ("ProxyPass /app http://127.0.0.1:9083/ upgrade=websocket", RIGHT),
        ("ProxyPass /app http://127.0.0.1:9083/app", RIGHT),
        ("ProxyPass /app http://127.0.0.1:9083", RIGHT),  # the longer name of the virtual host is the nearer one
    ],
)
def test_workers_of_the_main_server(tmp_path, before, said):
    (tmp_path / "x").write_text(f"{before}\n<VirtualHost *:9083>\nServerName {NAME}\n{UP}\n</VirtualHost>\n")
    options = apache_parser.ParserOptions(every_module=True)
    hosts = apache_reader.read_virtual_hosts(apache_parser.parse(str(tmp_path / "x"), options))
    assert say(next(host for host in hosts if host.names)) == said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"front": ""}, RIGHT),
        ({"front": "http-request set-header Connection close"}, NO_WEBSOCKET),
        ({"front": "http-request set-header Connection upgrade"}, RIGHT),
        ({"front": "http-request set-header Connection close if !{ hdr(upgrade) -i websocket }"}, RIGHT),
        ({"front": "http-request del-header Sec-WebSocket-Key"}, NO_WEBSOCKET),
        ({"front": "http-request del-header ^sec- -m reg"}, NO_WEBSOCKET),
        ({"front": "http-request del-header ^Sec- -m reg"}, RIGHT),  # its names are in small letters
        ({"front": "http-request del-header upg -m beg"}, NO_WEBSOCKET),
        ({"front": "http-request del-header Origin"}, STOPPED),
        ({"front": "http-request set-header Origin http://x.example"}, UNTOLD),
        ({"front": "http-response del-header Upgrade"}, NO_WEBSOCKET),
        ({"front": "http-response del-header Sec-WebSocket-Accept"}, RIGHT),
        ({"front": "http-response set-header Connection close"}, NO_WEBSOCKET),
        ({"front": "http-response del-header Connection"}, NO_WEBSOCKET),
        ({"front": "http-response set-header Connection Upgrade"}, RIGHT),
        ({"front": "http-response add-header Connection close"}, RIGHT),
        ({"front": "http-response set-header Connection close if { status 500 }"}, UNTOLD),
        # A request's path and headers are no more to rules on answers: HAProxy warns of it.
        ({"front": "http-response set-header Connection close if { hdr(upgrade) -m found }"}, RIGHT),
        ({"front": f"http-response add-header {SHARING} * if {{ path_beg /socket.io }}"}, RIGHT),
        ({"front": f"http-response add-header {SHARING} * if !{{ path_beg /rest }}"}, STOPPED),
        ({"front": f"http-response add-header {SHARING} * if METH_GET"}, STOPPED),
        ({"front": f"http-response set-header {SHARING} https://x.example"}, STOPPED),
        ({"front": f"http-response set-header {SHARING} http://{NAME}"}, RIGHT),
        ({"front": f"http-response replace-header {SHARING} .* x"}, UNTOLD),
        ({"front": f"http-response add-header {SHARING} * if FALSE"}, RIGHT),
        ({"front": f"http-response add-header {SHARING} *"}, STOPPED),
        ({"front": f"http-response add-header {SHARING} * unless {{ res.hdr({SHARING}) -m found }}"}, UNTOLD),
        ({"front": "http-response deny if { status 101 }"}, UNTOLD),
        ({"front": "http-response return status 200 if TRUE"}, STOPPED),
        ({"front": "http-request set-header Host x.example"}, UNTOLD),
        ({"front": "", "back": "http-request set-header Host x.example"}, RIGHT),
        ({"front": "maxconn 1"}, SOME),
        ({"front": "", "server": "maxconn 1"}, SOME),
        ({"front": "", "server": "maxconn 500"}, RIGHT),
        ({"front": "", "server": "ws h2"}, UNTOLD),
        ({"front": "", "server": "ws h1"}, RIGHT),
        ({"front": "", "server": "check"}, RIGHT),
        ({"front": "", "back": "option httpchk", "server": "check"}, UNTOLD),
        ({"front": "", "back": "option httpchk"}, RIGHT),
        ({"front": "", "back": "option httpchk GET /socket.io/?EIO=4&transport=polling", "server": "check"}, RIGHT),
        ({"front": "", "back": "option tcp-check", "server": "check"}, RIGHT),
        ({"front": "", "server": "check port 1"}, UNTOLD),
        ({"front": "", "server": "check port 9083"}, RIGHT),
        ({"front": "", "use": "use_backend rtc if { hdr(host) -m reg -i ^wiki\\.example\\.com(:\\d+)?$ }"}, RIGHT),
        ({"front": "", "use": "use_backend rtc if { hdr_reg(host) ^wiki\\.example\\.com }"}, RIGHT),
        ({"front": "", "use": "use_backend rtc if { hdr(host) -m reg ^wiki\\.example\\.com$ }"}, NO_WEBSOCKET),
        ({"front": "", "use": "use_backend rtc if { hdr_reg(host) ^(wiki|jira) }"}, UNTOLD),
    ],
)
def test_haproxy(tmp_path, given, said):
    assert say(read_haproxy(tmp_path, **given)) == said


@pytest.mark.parametrize(
    ("line", "paged"),
    [
        ("errorloc 503 http://x.example/", True),
        ("errorfile 503 /etc/haproxy/503.http", True),
        ("errorfiles pages", True),
        ("errorfile 400 /etc/haproxy/400.http", False),
    ],
)
def test_what_answers_for_a_server_of_haproxy(tmp_path, line, paged):
    assert bool(read_haproxy(tmp_path, line).pages) == paged


def test_a_name_by_a_regular_expression(tmp_path):
    """One that stands for one name is that name."""
    for pattern, names in (("^wiki\\.example\\.com(:[0-9]+)?$", [NAME]), ("^(wiki|jira)\\.", [])):
        host = read_haproxy(tmp_path, "", use=f"use_backend rtc if {{ hdr(host) -m reg {pattern} }}")
        assert host.names == names


@pytest.mark.parametrize(
    ("inside", "before", "some"),
    [
        ("if ($remote_addr !~ ^10[.]) { return 403; }", "", True),
        ("if ($office = 0) { return 403; }", "geo $office { default 0; 10.0.0.0/8 1; }", True),
        ("if ($office = 0) { return 403; }", "map $remote_addr $office { default 0; 10.0.0.1 1; }", True),
        ("if ($robot) { return 403; }", "map $http_user_agent $robot { default 0; ~bot 1; }", False),
        ("if ($a) { return 403; }", "map $b $a { default 0; } map $a $b { default 0; }", False),
    ],
)
def test_clients_by_address_of_nginx(tmp_path, inside, before, some):
    """The host that asks through its proxy is let in, and others may not be."""
    assert bool(read_nginx(tmp_path, inside, before).sources) == some


@pytest.mark.parametrize(
    ("condition", "some"),
    [
        ("%{REMOTE_ADDR} !^10\\.", True),
        ("expr \"%{REMOTE_ADDR} in {'192.0.2.1'}\"", True),
        ("%{REMOTE_USER} ^x", False),
        ("%{HTTP_USER_AGENT} bot", False),
    ],
)
def test_clients_by_address_of_apache(tmp_path, condition, some):
    inside = f"RewriteEngine On\nRewriteCond {condition}\nRewriteRule ^ - [F]\n{UP}"
    assert bool(read_apache(tmp_path, inside).sources) == some
