# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual hosts as HAProxy writes them, 2.2 and later: one frontend for each port, a backend for each upstream.

Two frontends must not bind the same address (the kernel would deal connections to both at random), so all virtual hosts
of a port share one, and it chooses by host name.
"""

from __future__ import annotations

import re

from ansible_collections.collab.rtc.plugins.module_utils._facts import Upstream
from ansible_collections.collab.rtc.plugins.module_utils._proxy import rendering
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.parser import Section
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rendering import ForwardedPath, list_forwarded_paths
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

# That of "option httplog" (Configuration Manual, 8.2.3), with the path in place of the request, which has the query.
_LOG_FORMAT = (
    r"%ci:%cp\ [%tr]\ %ft\ %b/%s\ %TR/%Tw/%Tc/%Tr/%Ta\ %ST\ %B\ %CC\ %CS\ %tsc\ %ac/%fc/%bc/%sc/%rc\ %sq/%bq\ "
    r"%hr\ %hs\ \"%HM\ %HP\ %HV\""
)

DEFAULTS = "defaults collab_rtc"
# Lines of ``defaults`` that the managed sections say otherwise, or that do not change what is forwarded where.
_HARMLESS = re.compile(
    r"mode \w+|log(?:-format|-format-sd|-tag)? .*|timeout [\w-]+ \w+|retries [1-9]|maxconn \d{3,}|balance .*|"
    r"error(?:files?|loc\d*) .*|default-server(?: (?:inter|fastinter|downinter|rise|fall) \w+)*|"
    r"(?:no )?option (?:httplog|tcplog|dontlognull|dontlog-normal|logasap|log-separate-errors|log-health-checks|"
    r"socket-stats|contstats|redispatch|http-keep-alive|http-server-close|forwardfor.*|(?:cli|srv)?tcpka|splice-\w+|"
    r"http-no-delay|http-ignore-probes|prefer-last-server|tcp-smart-\w+)(?: \w+)?"
)


def render(vhosts: list[VhostPlan], pems: dict[str, str], authorities: dict[str, str], logs: bool) -> str:
    """The sections of all managed virtual hosts.

    :param pems: name of a virtual host -> path of its certificate with key.
    :param authorities: name of a virtual host -> file of authorities for its https upstreams.
    :param logs: whether ``defaults`` have requests logged; HAProxy warns of a format that nothing uses.
    """
    lines: list[str] = []
    for port in sorted({item.port for item in vhosts}):
        lines += _render_frontend([item for item in vhosts if item.port == port], pems, logs)
    for vhost in vhosts:
        for target in list_forwarded_paths(vhost):
            lines += _render_backend(vhost, target, authorities.get(vhost.name, ""))
    return "\n".join(lines).rstrip("\n") + "\n"


def render_defaults(logs: list[list[str]]) -> str:
    """The ``defaults`` of the managed sections, with the lines about logs that hold for others."""
    lines = [DEFAULTS, "    mode http", *("    " + " ".join(map(_escape, words)) for words in logs)]
    return "\n".join([*lines, "", ""])


def is_logging(words: list[str]) -> bool:
    """Whether a line of ``defaults`` says where requests are logged, and which are not."""
    return words[0] == "log" or words[:2] in (["option", "dontlognull"], ["option", "dontlog-normal"])


def is_harmless(defaults: Section) -> bool:
    """Whether all that ``defaults`` say is said by the managed sections too, or does not matter to them."""
    return all(_HARMLESS.fullmatch(" ".join(line.words)) for line in defaults.lines) and not defaults.inherited


def addresses(vhosts: list[VhostPlan]) -> list[str]:
    """Where the frontend of one port binds: all addresses of its virtual hosts, without those that "*" covers."""
    found = sorted({address for vhost in vhosts for address in vhost.listen or ["*"]})
    if "*" in found:
        found = [item for item in found if item == "*" or ":" in item]
    if "::" in found:
        found = [item for item in found if item == "::" or ":" not in item]
    return found


def _render_frontend(vhosts: list[VhostPlan], pems: dict[str, str], logs: bool) -> list[str]:
    port = vhosts[0].port
    if len({bool(item.certificate) for item in vhosts}) > 1:
        names = " and ".join(item.name for item in vhosts)
        raise ProxyError(f"{names} share port {port}, one with TLS and one without.", "One port speaks one protocol.")
    tls = ""
    if vhosts[0].certificate:
        certificates = "".join(f" crt {_escape(pems[item.name])}" for item in vhosts)
        tls = (
            f" ssl{certificates} alpn http/1.1 ssl-min-ver TLSv1.2 no-tls-tickets ciphers {rendering.CIPHERS} "
            f"ciphersuites {rendering.CIPHERSUITES}"
        )
    waiting = max(rendering.POLL_SECONDS if item.role == "rtc" else rendering.APPLICATION_SECONDS for item in vhosts)
    sent = {rendering.find_forwarded_proto(item) for item in vhosts}
    proto = "" if "" in sent else sent.pop()
    lines = [f"frontend collab_{port}", "    mode http"]
    lines += [
        f"    bind {rendering.bracket(address)}:{port}{' v6only' if address == '::' else ''}{tls}"
        for address in addresses(vhosts)
    ]
    if logs:
        lines.append(f"    log-format {_LOG_FORMAT}")
    lines += [
        f"    timeout client {waiting}s",
        "    timeout client-fin 30s",
        "    timeout http-request 30s",
        f"    timeout http-keep-alive {rendering.POLL_SECONDS}s",
        "    option forwardfor",
        f"    http-request {f'set-header X-Forwarded-Proto {proto}' if proto else 'del-header X-Forwarded-Proto'}",
        f"    http-request set-header X-Forwarded-Port {port}",
        "    http-request set-header X-Forwarded-Host %[req.hdr(host)]",
    ]
    shared = len(vhosts) > 1
    rules: list[str] = []
    for vhost in vhosts:
        me = rendering.make_identifier(vhost.name)
        if shared:
            lines.append(f"    acl {me} req.hdr(host) -i {vhost.server_name} {vhost.server_name}:{port}")
        lines += _render_paths(vhost, me, f"{me} " if shared else "")
        rules += _render_choices(vhost, me, f"{me} " if shared else "")
    return [*lines, *rules, ""]


def _render_paths(vhost: VhostPlan, me: str, condition: str) -> list[str]:
    """The ACLs of the paths that are served, the redirect to the context path, and the answer for the rest."""
    lines = []
    served = [target for target in list_forwarded_paths(vhost) if target.path]
    for target in served:
        name = f"{me}_at{target.suffix}"
        if target.allowed:
            lines.append(f"    acl {name} path_beg {target.path}/")
        else:
            lines += [f"    acl {name} path {target.path}", f"    acl {name} path_beg {target.path}/"]
    path = rendering.find_context_redirect(vhost)
    if path:
        scheme = "https" if vhost.certificate else "http"
        context = f"{scheme}://%[req.hdr(host)]{path}"
        lines.append(f"    http-request redirect code 302 location {context} if {condition}{{ path / }}")
        others = " ".join(f"!{me}_at{target.suffix}" for target in served)
        lines.append(f"    http-request return status 404 if {condition}{others}")
    return lines


def _render_choices(vhost: VhostPlan, me: str, condition: str) -> list[str]:
    lines = []
    for target in list_forwarded_paths(vhost):
        name = f"{me}{target.suffix}"
        if target.path:
            lines.append(f"    use_backend {name} if {condition}{me}_at{target.suffix}")
        elif condition:
            lines.append(f"    use_backend {name} if {condition.strip()}")
        else:
            lines.append(f"    default_backend {name}")
    return lines


def _render_backend(vhost: VhostPlan, target: ForwardedPath, authorities: str) -> list[str]:
    several = len(target.upstreams) > 1
    shared = len(target.primaries) > 1
    waiting = rendering.POLL_SECONDS if vhost.role == "rtc" else rendering.APPLICATION_SECONDS
    lines = [
        f"backend {rendering.make_identifier(vhost.name)}{target.suffix}",
        "    mode http",
        f"    timeout connect {target.connect_seconds}s",
        f"    timeout server {waiting}s",
        "    timeout server-fin 30s",
        f"    timeout tunnel {rendering.TUNNEL_SECONDS}s",
    ]
    if target.allowed:
        lines.append(f"    http-request deny unless {{ src {' '.join(target.allowed)} }}")
    if not vhost.reuse:
        lines.append("    option http-server-close")
    if several:
        lines += [*_render_check(vhost), f"    option redispatch{' 1' if target.labels else ''}"]
    if target.labels:
        lines += _render_session_routes(target)
    elif shared and vhost.role == "rtc":
        # The page is of another origin than RTC (another port), and browsers send no cookies there: by address.
        lines += ["    balance source", "    hash-type consistent"]
    elif shared:
        lines += [
            "    balance leastconn",
            f"    cookie {rendering.make_identifier(vhost.name).upper()}_NODE insert indirect nocache httponly",
        ]
    for name, item in zip(_name_servers(target), target.upstreams):
        words = f"    server {name} {rendering.bracket(item.host)}:{item.port}"
        if item.scheme == "https":
            own = vhost.upstream_name or vhost.server_name
            words += f" ssl verify required ca-file {_escape(authorities)} sni str({own}) verifyhost {own}"
            words += " ssl-min-ver TLSv1.2"
            words += f" check-sni {own}" if several else ""
        words += _render_checked(vhost, target, item) if several else ""
        words += f" cookie {name}" if shared and vhost.role != "rtc" else ""
        lines.append(words + (" backup" if item.backup else ""))
    return [*lines, ""]


def _name_servers(target: ForwardedPath) -> list[str]:
    """By labels, which stay when others come and go; else by number."""
    return [f"n{label}" for label in target.labels or range(1, len(target.upstreams) + 1)]


def _render_check(vhost: VhostPlan) -> list[str]:
    if not vhost.health:
        return ["    option tcp-check"]
    name = vhost.upstream_name or vhost.server_name
    return [
        "    option httpchk",
        f"    http-check send meth GET uri {vhost.health} ver HTTP/1.1 hdr Host {name}",
        "    http-check expect status 200",
        f"    timeout check {rendering.HEALTH_SECONDS}s",
    ]


def _render_checked(vhost: VhostPlan, target: ForwardedPath, item: Upstream) -> str:
    if not vhost.health:
        return " check"
    words = f" check inter {rendering.HEALTH_SECONDS}s fall {rendering.HEALTH_FALL} rise 2"
    if target.labels:
        return words
    # One node serves at a time, each with a journal of its own: who is left at another one writes into the wrong one.
    return f"{words} on-marked-down shutdown-sessions{'' if item.backup else ' on-marked-up shutdown-backup-sessions'}"


def _render_session_routes(target: ForwardedPath) -> list[str]:
    # A session is with its node also while that one can take no new ones: it drains, or its store is away. Where the
    # node is gone, another one answers that it does not know the session, and the client comes back. Only a request
    # that opens one may be sent twice.
    return [
        "    retry-on conn-failure empty-response 503",
        "    balance roundrobin",
        "    http-request disable-l7-retry if { url_param(sid) -m found }",
        "    force-persist if { url_param(sid) -m found }",
        *(
            f"    use-server {name} if {{ url_param(sid) -m end .{label} }}"
            for name, label in zip(_name_servers(target), target.labels)
        ),
    ]


def _escape(text: str) -> str:
    return "".join(f"\\{char}" if char in " #\\\"'" else char for char in text)
