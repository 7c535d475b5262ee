# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether RTC is seen to pass a virtual host that was written; what stands in its way, where it does not."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, Callable

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import Passage
from ansible_collections.collab.rtc.plugins.module_utils._proxy import sockets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import Backend, is_managed
from ansible_collections.collab.rtc.plugins.module_utils._proxy.blocked import BlockedError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rtc_requests import SHARING
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

# Asks for RTC through a virtual host, at an address, with what answers there in place of an upstream that does not:
# injected, because this package knows no client of RTC.
See = Callable[[VhostPlan, str, str], Passage]

# A busy machine takes its time to end the processes from before; only a change that is undone waits so long.
_OLD_SECONDS, _PAUSE_SECONDS = 10.0, 0.1
_LOOPBACK = {sockets.ALL4: "127.0.0.1", sockets.ALL6: "::1"}
# What holds for virtual hosts from outside and may refuse, change or end their requests.
_NGINX = re.compile(
    r"auth_basic|auth_request|auth_jwt|deny|limit_(?:conn|req)|ssl_verify_client|proxy_(?:ignore|hide|pass)_headers?"
    r"|proxy_(?:set_body|method|pass_request_\w+|cache|store|bind|limit_rate)|sub_filter|client_max_body_size|limit_rate"
    r"|add_(?:before|after)_body|ssl_reject_handshake|large_client_header_buffers|more_(?:set|clear)_headers"
    r"|modsecurity|perl_|js_|proxy_intercept_errors|error_page|.*_by_lua(?:_block|_file)?"
)
_APACHE = re.compile(
    r"auth\w+|require|deny|proxyremote\w*|proxyblock|proxyerroroverride|sslverifyclient|sslrequire\w*|redirect\w*"
    r"|proxypass(?:match)?|proxyset|sethandler|rewriterule|limitrequest\w+|sec\w+|qs_\w+|requestheader|setenvif\w*"
    r"|setenv|browsermatch\w*|setoutputfilter"
)
_ENVIRONMENT = ("force-proxy-request-1.0", "proxy-nokeepalive", "proxy-sendcl", "nokeepalive", "downgrade-1.0")
_PLACES = ("location", "locationmatch", "proxy", "proxymatch", "if")


def look_through(backend: Backend, vhosts: list[VhostPlan], see: See) -> dict[str, str]:
    """Name of each virtual host -> "" where RTC is seen to pass it, else why nobody could see that yet.

    :raises BlockedError: something stands in its way; for each site, with where, as far as that can be read.
    """
    unseen: dict[str, str] = {}
    blocked: dict[str, RtcError] = {}
    deadline = time.monotonic() + _OLD_SECONDS  # of all: they end at the same time
    for vhost in vhosts:
        if vhost.site in blocked:
            continue
        addresses = [item for given in vhost.listen or [sockets.ALL4] for item in sockets.resolve(given)]
        pages = _find_pages(backend, vhost)
        found = [_look(vhost, _LOOPBACK.get(item, item), pages, see, deadline) for item in addresses]
        stopped = next((item for item in found if item.outcome == "stopped"), None)
        if stopped:
            places = list(dict.fromkeys(_list_obstacles(backend, vhost)))
            blocked[vhost.site] = ProxyError(
                f"{backend.kind} was given {vhost.name}, and RTC does not pass it at {stopped.address}:{vhost.port}: "
                f"{stopped.words}. The change is undone.",
                f"This holds for all virtual hosts and may be in the way: {'; '.join(places[:8])}."
                if places
                else "Find what answers in its place: another virtual host, a rule for all of them, a firewall.",
            )
        reasons = [_explain(item, vhost) for item in found if item.outcome != "passed"]
        unseen[vhost.name] = next(iter(reasons), "" if found else "none of its addresses is known")
    if blocked:
        raise BlockedError(blocked)
    return unseen


def _explain(passage: Passage, vhost: VhostPlan) -> str:
    """Why RTC was not seen, where nothing stands in its way either."""
    where = f"{passage.address}:{vhost.port}"
    if passage.outcome == "down":
        return f"the RTC service does not answer yet ({where}: {passage.words})"
    return f"{where}: {passage.words or 'nothing could be told'}"


def _find_pages(backend: Backend, vhost: VhostPlan) -> str:
    """What holds for a virtual host from outside, and answers in place of its upstream (``error_page 502``)."""
    hosts = [host for host in backend.read().hosts if host.managed and vhost.server_name in host.names]
    return next((host.pages for host in hosts if any(item.takes(vhost.port) for item in host.listens)), "")


def _look(vhost: VhostPlan, address: str, pages: str, see: See, deadline: float) -> Passage:
    """What comes back; processes from before the reload may take connections for a moment yet."""
    while True:
        found = see(vhost, address, pages)
        if found.outcome != "stopped" or time.monotonic() > deadline:
            return found
        time.sleep(_PAUSE_SECONDS)


def _list_obstacles(backend: Backend, vhost: VhostPlan) -> Iterator[str]:
    """Lines of others that hold for a managed virtual host, or answer before it: "file:line words"."""
    config: Any = getattr(backend, "parse_config", dict)()
    directives = getattr(config, "directives", [])
    if backend.kind == "nginx":
        blocks = [item for item in directives if item.name == "http"]
        found = [item for block in blocks or [Directive("http", [], "", 0, directives)] for item in block.block or []]
        for item in found:
            shares = item.name in ("add_header", "more_set_headers") and SHARING in " ".join(item.args).lower()
            if (_NGINX.fullmatch(item.name) or shares) and not is_managed(item.file):
                yield _describe(item)
    elif backend.kind == "apache":
        for item in _list_of_main(directives):
            words = " ".join(item.args).lower()
            if item.name in ("setenv", "setenvif", "setenvifnocase", "browsermatch", "browsermatchnocase"):
                counts = any(name in words for name in _ENVIRONMENT)
            elif item.name in ("header", "requestheader"):
                counts = any(name in words for name in (SHARING, "upgrade", "connection", "origin"))
            else:
                counts = bool(_APACHE.fullmatch(item.name)) and words not in ("all granted", "all denied")
            if counts and not is_managed(item.file):
                yield _describe(item)
        for host in backend.read().hosts:
            if host.names and not host.managed and any(listen.takes(vhost.port) for listen in host.listens):
                yield f"{host.file}:{host.line} <VirtualHost> of {' '.join(host.names)}"


def _list_of_main(directives: list[Directive]) -> Iterator[Directive]:
    """The directives of httpd's main server, and those of its sections for paths and upstreams."""
    for item in directives:
        if item.block is None:
            yield item
        elif item.name in _PLACES:
            yield from _list_of_main(item.block)


def _describe(item: Directive) -> str:
    return f"{item.file}:{item.line} {' '.join([item.name, *item.args])[:80]}"
