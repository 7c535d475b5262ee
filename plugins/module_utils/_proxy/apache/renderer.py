# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual hosts as Apache httpd 2.4 writes them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

from ansible_collections.collab.rtc.plugins.module_utils._facts import Upstream
from ansible_collections.collab.rtc.plugins.module_utils._proxy import rendering
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache.modules import SEVERAL_NODES
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import version_tuple
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rendering import ForwardedPath, list_forwarded_paths
from ansible_collections.collab.rtc.plugins.module_utils._proxy.sockets import is_wildcard
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

# "combined" without queries: that of the address, which is %r, %q or %f, and that of the page that led here.
_LOG_FORMAT = '%h %l %u %t "%m %U %H" %>s %b "-" "%{User-Agent}i"'
_VHOST_FORMAT = "vhost_combined"  # the same of several servers in one file, as Debian names it

# For which httpd keeps a connection on which nothing is asked. Who polls answers a ping every 25 s, on a connection
# beside the one that waits: by httpd's default of 5 s each would be a new one, with TLS, and what is sent in the moment
# of closing is lost where a client does not send it again. It is no multiple of the interval, so that no ping's answer
# comes when it ends. A process of prefork can do nothing else meanwhile, and there are few of them.
_KEEP_ALIVE_SECONDS = 60

# httpd's own: of "balancer://NAME", and of what stickysession names (PROXY_BALANCER_MAX_NAME_SIZE and _STICKY_SIZE).
_MOST_OF_POOL, _MOST_OF_COOKIE = 63, 63

# mod_proxy_http took over the upgrade from mod_proxy_wstunnel in this version (its documentation, "upgrade=").
_UPGRADE_SINCE = (2, 4, 47)
_OLD_UPGRADE = "-ws"  # what the name of the pool for WebSockets ends in, where that is another one


def modules(vhost: VhostPlan, version: str) -> list[str]:
    """The modules that :func:`render` counts on, without those that every distribution loads."""
    found = ["proxy", "proxy_http", "headers"]
    if not _knows_upgrade(version):
        found += ["proxy_wstunnel", "rewrite"]
    if vhost.certificate or rendering.has_tls_upstream(vhost):
        found.append("ssl")
    if any(len(target.upstreams) > 1 for target in list_forwarded_paths(vhost)):
        found += SEVERAL_NODES
    return found


def may_ask_health(vhost: VhostPlan) -> bool:
    """Whether ``mod_proxy_hcheck`` can tell the health of the upstreams, where it is there.

    It checks a certificate against the upstream's address, which is not the name that it is for.
    """
    several = any(len(target.upstreams) > 1 for target in list_forwarded_paths(vhost))
    return bool(vhost.health) and several and not rendering.has_tls_upstream(vhost)


def render(
    vhost: VhostPlan,
    hosts: list[str],
    listens: list[str],
    authorities: str,
    version: str,
    logs: Sequence[Sequence[str]] = (),
    chain: str = "",
    asks_health: bool = False,
) -> str:
    """The file of one virtual host.

    :param hosts: addresses of the ``<VirtualHost>``, as joined with others of this port.
    :param listens: addresses that no one else's ``Listen`` covers.
    :param authorities: file of certificate authorities for https upstreams, "" for http.
    :param logs: arguments of each ``CustomLog`` that holds for virtual hosts with none of their own.
    :param chain: file of the certificates between that of the virtual host and the authority, "" for none beside it.
    :param asks_health: whether ``mod_proxy_hcheck`` is there.
    """
    found = list_forwarded_paths(vhost)
    lines = [rendering.render_header(vhost).rstrip("\n"), ""]
    for address in listens:
        lines += _render_listen(address, vhost.port)
    places = sorted(
        {f"*:{vhost.port}" if is_wildcard(item) else f"{rendering.bracket(item)}:{vhost.port}" for item in hosts}
    )
    lines += [f"<VirtualHost {' '.join(places)}>"]
    health = vhost.health if asks_health and may_ask_health(vhost) else ""
    body = _render_body(vhost, found, authorities, version, logs, chain, health)
    lines += [f"    {line}" if line else "" for line in body]
    return "\n".join([*lines, "</VirtualHost>", ""])


def _render_listen(address: str, port: int) -> list[str]:
    # Another managed file may need the same; the first of them to be read listens.
    place = f"{'0.0.0.0' if address == '*' else rendering.bracket(address)}:{port}"  # noqa: S104 - the plan says so
    guard = rendering.make_identifier("listen " + place)
    return [f"<IfDefine !{guard}>", f"    Define {guard}", f"    Listen {place}", "</IfDefine>", ""]


def _render_body(
    vhost: VhostPlan,
    found: list[ForwardedPath],
    authorities: str,
    version: str,
    logs: Sequence[Sequence[str]],
    chain: str,
    health: str,
) -> list[str]:
    proto = rendering.find_forwarded_proto(vhost)
    lines = [
        f"ServerName {vhost.server_name}",
        *(_render_log(log) for log in logs),
        "ProxyRequests Off",
        "ProxyPreserveHost On",
        "AllowEncodedSlashes NoDecode",
        f"LimitRequestBody {rendering.compute_body_limit(vhost) * 1024 * 1024}",
        # What the main server may have for all: answers of one person kept for others.
        "<IfModule mod_cache.c>",
        '    CacheDisable "/"',
        "</IfModule>",
        # With "Off", what a client sends as X-Forwarded-For would be passed on as if the proxy said so.
        "ProxyAddHeaders On",
        # Cookies know no ports: what the application sets is sent to RTC, too.
        "LimitRequestFields 100",
        "LimitRequestFieldSize 32768",
        "LimitRequestLine 32768",
    ]
    if vhost.role == "rtc":
        lines += [
            "<IfModule mod_expires.c>",
            "    ExpiresActive Off",  # answers to polling that somebody keeps
            "</IfModule>",
            "<IfModule !mpm_prefork_module>",
            "    KeepAlive On",
            f"    KeepAliveTimeout {_KEEP_ALIVE_SECONDS}",
            "</IfModule>",
        ]
    lines += [
        f"ProxyTimeout {rendering.TUNNEL_SECONDS if vhost.role == 'rtc' else rendering.APPLICATION_SECONDS}",
        "",
        # mod_proxy_http itself appends to X-Forwarded-For and sets X-Forwarded-Host; what a client sends of the latter
        # must not stand before it.
        "RequestHeader unset X-Forwarded-Host",
        f"RequestHeader {f'set X-Forwarded-Proto {proto}' if proto else 'unset X-Forwarded-Proto'}",
        f"RequestHeader set X-Forwarded-Port {vhost.port}",
        "",
    ]
    if vhost.certificate:
        lines += _render_tls(vhost, chain)
    if rendering.has_tls_upstream(vhost):
        lines += _render_upstream_tls(vhost, authorities)
    me = rendering.make_identifier(vhost.name)
    for target in found:
        lines += _render_path(vhost, me, target, version, health)
    return lines + _render_rest(vhost)


def _render_log(log: Sequence[str]) -> str:
    words = [log[0], ("%v:%p " if log[1:2] == [_VHOST_FORMAT] else "") + _LOG_FORMAT, *log[2:]]
    return "CustomLog " + " ".join(_quote(word) for word in words)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _render_tls(vhost: VhostPlan, chain: str) -> list[str]:
    return [
        "SSLEngine on",
        f'SSLCertificateFile "{vhost.certificate}"',
        f'SSLCertificateKeyFile "{vhost.key}"',
        *([f'SSLCertificateChainFile "{chain}"'] if chain else []),
        "SSLProtocol all -SSLv3 -TLSv1 -TLSv1.1",
        f"SSLCipherSuite {rendering.CIPHERS}",
        "SSLHonorCipherOrder off",
        "SSLSessionTickets off",
        "",
    ]


def _render_upstream_tls(vhost: VhostPlan, authorities: str) -> list[str]:
    if vhost.upstream_name not in ("", vhost.server_name):
        # With ProxyPreserveHost, mod_proxy sends and checks the name of the request; no setting names another one.
        raise ProxyError(
            f"{vhost.name}: Apache checks an upstream's certificate against {vhost.server_name} only, "
            f"not against {vhost.upstream_name}.",
            "Leave upstream_name empty and give the upstream a certificate with the server name, "
            "or use nginx or HAProxy.",
        )
    return [
        "SSLProxyEngine on",
        "SSLProxyVerify require",
        "SSLProxyVerifyDepth 5",
        f'SSLProxyCACertificateFile "{authorities}"',
        "SSLProxyCheckPeerName on",
        "SSLProxyCheckPeerExpire on",
        "SSLProxyProtocol all -SSLv3 -TLSv1 -TLSv1.1",
        "",
    ]


def _render_path(vhost: VhostPlan, me: str, target: ForwardedPath, version: str, health: str) -> list[str]:
    options = f"connectiontimeout={target.connect_seconds} timeout={target.seconds}"
    if target.tunnel:
        options += " flushpackets=on"
    if not vhost.reuse:
        options += " disablereuse=on"
    if target.allowed:
        return _render_guarded(target, options)
    modern = _knows_upgrade(version)
    if modern:
        options += " upgrade=websocket"
    lines: list[str] = []
    if len(target.upstreams) > 1:
        pool = _name_pool(me, target)
        lines += _render_pool(me, target, pool, options + _render_health(target, health))
        base, given = pool, ""
    else:
        # Without it httpd answers 503 by itself for a minute after one connection was refused: a restart is enough.
        base, given = _format_url(target.upstreams[0]), f" {options} retry=0"
    path = target.path or "/"
    url = base + path
    if not modern:
        lines += _render_old_upgrade(me, target, path, options)
    return [
        *lines,
        f'ProxyPass "{path}" "{url}"{given} nocanon',
        "",
    ]


def _name_pool(me: str, target: ForwardedPath, end: str = "") -> str:
    begin = "balancer://"
    name = _shorten(f"{me}{target.suffix}".replace("_", "-"), _MOST_OF_POOL - len(begin) - len(_OLD_UPGRADE))
    return begin + name + end


def _shorten(name: str, most: int) -> str:
    """A name that may be this long; a longer one ends in a digest of it, so that two stay two."""
    return name if len(name) <= most else f"{name[: most - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _render_guarded(target: ForwardedPath, options: str) -> list[str]:
    # Both in one Location: what leads there is what is guarded, however a request spells the path.
    path = target.path + "/"
    return [
        f'<Location "{path}">',
        f"    Require ip {' '.join(target.allowed)}",
        # Where the whole server has it otherwise, what that lets in would do.
        "    AuthMerging Off",
        "    <IfModule mod_access_compat.c>",
        "        Satisfy All",
        "    </IfModule>",
        f'    ProxyPass "{_format_url(target.upstreams[0])}{path}" {options} retry=0 nocanon',
        "</Location>",
        "",
    ]


def _render_pool(me: str, target: ForwardedPath, pool: str, options: str) -> list[str]:
    lines = [f'<Proxy "{pool}">']
    routes = target.labels or [f"n{number}" for number in range(1, len(target.upstreams) + 1)]
    standby = 0
    for route, item in zip(routes, target.upstreams):
        backup = " status=+H" if item.backup else ""
        if item.backup and target.tunnel:
            # One RTC server is active at a time: of the spares of one set each would have a part of the requests.
            backup += f" lbset={standby}" if standby else ""
            standby += 1
        lines.append(f'    BalancerMember "{_format_url(item)}" route={route} {options}{backup}')
    if target.labels:
        # byrequests counts the requests within sessions, too, and forgets none: a node that had many of them, and comes
        # back without a session, would get no new one until the others have had as many. What a node does now counts:
        # each session has one request that waits, a poll or its WebSocket. "sid": its route is what follows the dot.
        return [*lines, "    ProxySet lbmethod=bybusyness stickysession=sid", "</Proxy>"]
    if target.tunnel and len(target.primaries) == 1:
        return [*lines, "    ProxySet lbmethod=byrequests", "</Proxy>"]
    cookie = _shorten(me.upper(), _MOST_OF_COOKIE - len("_NODE")).upper() + "_NODE"
    return [
        *lines,
        f"    ProxySet lbmethod=byrequests stickysession={cookie}",
        "</Proxy>",
        f'Header add Set-Cookie "{cookie}=.%{{BALANCER_WORKER_ROUTE}}e; Path=/; HttpOnly" env=BALANCER_ROUTE_CHANGED',
    ]


def _render_health(target: ForwardedPath, health: str) -> str:
    # Without it, and in between, a node is out once it refuses a connection: for a minute, if nothing else is said.
    text = f" retry={rendering.HEALTH_SECONDS * rendering.HEALTH_FALL}" if target.tunnel else ""
    if not health:
        return text
    times = f"hcinterval={rendering.HEALTH_SECONDS} hcfails={rendering.HEALTH_FALL} hcpasses=1"
    return f"{text} hcmethod=GET hcuri={health} {times}"


def _render_old_upgrade(me: str, target: ForwardedPath, path: str, options: str) -> list[str]:
    item = target.primaries[0]
    scheme = "wss" if item.scheme == "https" else "ws"
    prefix = path.rstrip("/")
    lines, place = [], f"{scheme}://{rendering.bracket(item.host)}:{item.port}"
    if target.labels:
        place = _name_pool(me, target, _OLD_UPGRADE)
        sockets = [dataclasses.replace(one, scheme=scheme) for one in target.upstreams]
        again = dataclasses.replace(target, upstreams=sockets)
        lines = _render_pool(me, again, place, options + _render_health(again, ""))
    return [
        *lines,
        "RewriteEngine On",
        "RewriteCond %{HTTP:Upgrade} ^websocket$ [NC]",
        "RewriteCond %{HTTP:Connection} upgrade [NC]",
        f'RewriteRule "^{prefix}/(.*)$" "{place}{prefix}/$1" [P,L]',
    ]


def _render_rest(vhost: VhostPlan) -> list[str]:
    path = rendering.find_context_redirect(vhost)
    if not path:
        return []
    return [f'RedirectMatch 302 "^/$" "{path}"', 'Redirect 404 "/"']


def _format_url(item: Upstream) -> str:
    return f"{item.scheme}://{rendering.bracket(item.host)}:{item.port}"


def _knows_upgrade(version: str) -> bool:
    return version_tuple(version) >= _UPGRADE_SINCE
