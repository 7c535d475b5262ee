# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an answer of HTTP says when it is not the one of an RTC service.

Pure functions: an answer goes in, a :class:`CheckError` with likely cause and remedy comes out.
"""

from __future__ import annotations

import json
import re
from typing import Any, Mapping, Sequence

from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import CheckError

# Error bodies of Engine.IO: {"code": n, "message": ...}
_EIO_UNKNOWN_SID, _EIO_BAD_REQUEST, _EIO_FORBIDDEN, _EIO_VERSION = 1, 3, 4, 5


def not_http(place: str, line: bytes, tls_spoken: bool) -> CheckError:
    """The first bytes of an answer are not those of HTTP."""
    if line[:2] in (b"\x15\x03", b"\x16\x03") and not tls_spoken:
        return CheckError(
            "plain_on_tls_port",
            f"{place} answers http with a TLS alert.",
            "The port wants https, but http was spoken.",
            "Use https here; page and service must both use it.",
        )
    return CheckError(
        "not_http",
        f"{place} does not speak HTTP: it answered {line[:60]!r}.",
        "Another service listens on this port.",
        "Look at what listens there (ss -tlnp) and choose a free port.",
    )


def answer(place: str, status: int, headers: Mapping[str, str], body: bytes, websocket: bool = False) -> CheckError:
    """An answer that is not the one of an RTC service: which other one it is.

    :param headers: names in lower case.
    :param websocket: a WebSocket was asked for (so 101 was wanted).
    """
    text = body[:4096].decode("utf-8", "replace")
    detail = f"{place} answered {status}{_quote_text(text)}{_name_server(headers)}."
    known = _explain_engine_error(detail, status, text, websocket) or _explain_status(detail, status, headers, text)
    if known is not None:
        return known
    html = "text/html" in headers.get("content-type", "") or text.lstrip()[:1] == "<"
    if html:
        return _not_rtc(detail, headers, text)
    if websocket:
        return upgrade_refused(detail)
    return CheckError(
        "not_rtc",
        detail,
        "Something else than the RTC service answers on this port.",
        "Check which virtual host and which upstream answer for this name and port.",
    )


def upgrade_refused(detail: str) -> CheckError:
    """No 101 to a WebSocket handshake."""
    return CheckError(
        "upgrade_refused",
        detail,
        "The request arrived as an ordinary one: a proxy on the way does not pass Upgrade on, or speaks HTTP/1.0.",
        "nginx: proxy_http_version 1.1, Upgrade and Connection headers; Apache: upgrade=websocket (2.4.47 and later) "
        "or mod_proxy_wstunnel; HAProxy: mode http or tcp without closing; load balancers: an HTTP listener that "
        "knows WebSocket.",
    )


def _quote_text(text: str) -> str:
    plain = re.sub(r"\s+", " ", re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>", " ", text, flags=re.S | re.I)).strip()
    return f": {plain[:160]}" if plain else ""


def _name_server(headers: Mapping[str, str]) -> str:
    server = headers.get("server", "")
    return f" (Server: {server[:60]})" if server else ""


def _explain_engine_error(detail: str, status: int, text: str, websocket: bool) -> CheckError | None:
    code, message = engine_error(text)
    lower = message.lower()
    if code == _EIO_VERSION or "unsupported version" in lower or "unsupported protocol" in lower:
        return unsupported(detail)
    if code == _EIO_FORBIDDEN or "origin" in lower:
        return CheckError(
            "origin_refused",
            detail,
            "The service does not admit pages of this origin.",
            "Add the origin of the application's page (scheme, name and port, as in the address bar) to the allowed "
            "origins.",
        )
    if code == _EIO_UNKNOWN_SID and status == 400:
        return CheckError(
            "unknown_session",
            detail,
            "Two requests of one session went to two servers (no stickiness), or the service restarted in between.",
            "Make the load balancer keep a client on one node for this port (by source address), or list the others "
            "as backup.",
        )
    if websocket and status == 400 and (code == _EIO_BAD_REQUEST or "upgrade" in lower):
        return upgrade_refused(detail)
    return None


def unsupported(detail: str) -> CheckError:
    """The service speaks the other revision of Engine.IO."""
    return CheckError(
        "unsupported_version",
        detail,
        "The service speaks another generation of Engine.IO than was asked for "
        "(3: Socket.IO 1 and 2, 4: Socket.IO 3 and later).",
        "Let protocol be auto, or update the older of client and service.",
    )


def engine_error(text: str) -> tuple[int, str]:
    """Code and message of an Engine.IO error body; ``-1`` and "" when it is none."""
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        return -1, ""
    if isinstance(data, dict) and isinstance(data.get("message"), str):
        code = data.get("code")
        return code if isinstance(code, int) else -1, data["message"]
    return -1, data if isinstance(data, str) else ""


def _explain_status(detail: str, status: int, headers: Mapping[str, str], text: str) -> CheckError | None:
    if status in (301, 302, 303, 307, 308):
        return CheckError(
            "redirected",
            f"{detail} It points to {headers.get('location', 'nowhere')}.",
            "A rule for pages (http to https, a context path, a login) also catches the RTC port.",
            "Exclude the RTC virtual host from redirections; RTC is at / of its own port, with the page's protocol.",
        )
    if status == 400 and any(words in text.lower() for words in _WANTS_TLS):
        return CheckError(
            "plain_on_tls_port",
            detail,
            "The port wants https, but http was spoken.",
            "Use https here; page and service must both use it.",
        )
    for codes, found in _STATUS:
        if status in codes:
            return CheckError(found[0], detail, found[1], found[2])
    if status >= 500:
        return CheckError("server_error", detail, "The service or the proxy failed inside.", "Read its log.")
    return None


# How nginx, Apache httpd and Tomcat word it.
_WANTS_TLS = ("plain http request was sent to https", "plain http to an ssl", "requires tls")
_STATUS: tuple[tuple[tuple[int, ...], tuple[str, str, str]], ...] = (
    ((502, 503), (
        "upstream_down",
        "The proxy answers, but cannot reach the service behind it: not running, another address or port, refused by "
        "SELinux (httpd_can_network_connect), or http and https mixed up.",
        "Start the service, compare its address and port with the proxy's upstream, and read the proxy's error log.",
    )),
    ((504,), (
        "upstream_timeout",
        "The service did not answer the proxy in time: it hangs, or a firewall between them drops packets.",
        "Check from the proxy's host that the service answers, and the proxy's time limits.",
    )),
    ((401, 407), (
        "login",
        "A login of the proxy or of a single sign-on is in front of the RTC port.",
        "Exclude the RTC port from it: the service checks its own tokens.",
    )),
    ((403,), (
        "forbidden",
        "The proxy (access rule, web application firewall) or the service does not admit this request or its origin.",
        "Allow the RTC virtual host for the users' addresses, and the page's origin in the service.",
    )),
    ((404,), (
        "not_found",
        "Nothing is at this path: RTC is proxied under a sub-path instead of /, or another virtual host answers.",
        "Proxy / of the RTC port to / of the service, and check which virtual host answers for this name.",
    )),
    ((405, 501), (
        "wrong_protocol",
        "Something that does not know Engine.IO answers.",
        "Check which virtual host and which upstream answer for this name and port.",
    )),
    ((413,), ("too_large", "A limit on the size of requests is too small.", "Raise it (nginx: client_max_body_size).")),
    ((421,), (
        "not_found",
        "The server does not answer for this name on this connection (name in TLS and Host header differ).",
        "Give the RTC virtual host this server name.",
    )),
    ((429,), ("too_many", "A rate limit stands in the way.", "Raise the limit for the RTC port.")),
)  # fmt: skip


def _not_rtc(detail: str, headers: Mapping[str, str], text: str) -> CheckError:
    page = text.lower()
    for name, marks in (
        ("Confluence", ("x-confluence-request-time", "confluence")),
        ("Jira", ("x-arequestid", "jira")),
    ):
        if marks[0] in headers or marks[1] in page:
            cause = (
                f"{name} answers on this port, not its RTC service: the application's virtual host, or its upstream."
            )
            break
    else:
        cause = "A web page came back: another virtual host (perhaps the default one) answers for this name and port."
    return CheckError(
        "not_rtc",
        detail,
        cause,
        "Give the RTC port a virtual host of its own with this server name, which passes / to the service's port.",
    )


# --- CORS -------------------------------------------------------------------------------------------------


def cors(place: str, origin: str, allowed: Sequence[str]) -> CheckError | None:
    """Why a browser page of ``origin`` may not read the answer; ``None`` when it may.

    :param allowed: the values of all ``Access-Control-Allow-Origin`` headers.
    """
    if len(allowed) == 1 and allowed[0].strip() in ("*", origin):
        return None
    if len(allowed) > 1 or (allowed and "," in allowed[0]):
        cause = "Service and proxy both add Access-Control-Allow-Origin: browsers refuse it twice."
        remedy = "Take the header out of the proxy's configuration: the service sends it."
    else:
        cause = "The page and the RTC port differ in their origin, and the answer does not allow the page's."
        remedy = (
            f"Add {origin} to the service's allowed origins; let the proxy pass Origin on, and the answer's headers."
        )
    shown = ", ".join(allowed) or "no such header"
    return CheckError(
        "origin_not_allowed", f"{place}: Access-Control-Allow-Origin for {origin}: {shown}.", cause, remedy
    )


def unexpected(place: str, what: str) -> CheckError:
    """The peer broke the protocol in a way that no administrator's setting explains."""
    return CheckError(
        "unexpected",
        f"{place}: {what}.",
        "The peer does not keep to the protocol: another kind of service, or something on the way changes the answers.",
        "Ask the service directly on its own host, to see whether it or the proxy is to blame.",
    )
