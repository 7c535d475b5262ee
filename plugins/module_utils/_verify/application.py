# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking a page of the application for what it sees, and comparing."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field
from typing import Any, Mapping
from urllib.parse import urlencode, urlsplit

from ansible_collections.collab.rtc.plugins.module_utils._verify import trust
from ansible_collections.collab.rtc.plugins.module_utils._verify.client import http_errors
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.connection import Endpoint, parse_url
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.http1 import Dialer, Http, Response
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import CheckError, Checks

_STATUS = {
    "not_found": (
        "There is no such page: the context path or the path is wrong, or another virtual host answers.",
        "Compare the path with the Context path in server.xml, and with what the proxy passes on.",
    ),
    "redirected": (
        "The application or the proxy sends elsewhere: to a login, to set-up, or to another name or protocol.",
        "Ask for the address that it points to, or correct proxyName, proxyPort and scheme of the connector.",
    ),
    "login": ("A login is in front of the page.", "Allow this page without one, or check another."),
    "forbidden": (
        "The proxy or the application does not admit this request.",
        "Look into the access rules of the proxy and of the application.",
    ),
    "upstream_down": (
        "The proxy answers, but cannot reach the application: it is not running or still starting, it listens on "
        "another address or port, or http and https are mixed up.",
        "Start the application, compare its connector with the proxy's upstream, and read the proxy's error log.",
    ),
    "upstream_timeout": (
        "The application did not answer the proxy in time: it hangs or is still starting, or a firewall drops packets.",
        "Look into the application's log, and check from the proxy's host that its connector answers.",
    ),
}

_NO_APPLICATION = (
    "The default page of the web server answers, and not the application: no virtual host has this name.",
    "Write the application's virtual host (rtc_manage_application_vhost), or correct the name of the present one.",
)
# Words of the pages that nginx, Apache httpd (Debian, RHEL) and Tomcat bring.
_DEFAULT_PAGES = (
    "Welcome to nginx",
    "Apache2 Debian Default Page",
    "<h1>It works!</h1>",
    "HTTP Server Test Page",
    "Test Page for the",
    "you've successfully installed Tomcat",
)


@dataclass
class ApplicationCheckOptions:
    """What to ask and what is expected; ``timeout``: seconds for each step."""

    url: str
    connect_to: str = ""
    context: ssl.SSLContext | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    expect: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 10.0


def check(options: ApplicationCheckOptions) -> dict[str, Any]:
    """Fetch and compare.

    :returns: the result shape of ``steps``, with ``got``, ``mismatches``, ``status`` and ``certificate``.
    :raises RtcError: the URL is not one.
    """
    endpoint = parse_url(options.url, options.connect_to)
    dialer = Dialer(endpoint, options.context, options.timeout)
    checks = Checks()
    found: dict[str, Any] = {"got": {}, "mismatches": [], "status": 0}
    http: Http | None = None
    try:
        http = Http(dialer, dialer.check(checks))
        with checks.step("request") as step:
            answer = http.request("GET", _build_target(endpoint, options.query), {"Accept": "application/json"})
            found["status"] = answer.status
            if options.expect:
                found["got"] = _read_json(endpoint.place, answer)
            else:
                _check_page(endpoint, answer)
            step.detail = f"{answer.status}, {len(answer.body)} bytes"
        with checks.step("values") as step:
            found["mismatches"] = compare(found["got"], options.expect)
            _explain_mismatches(endpoint.place, found["got"], found["mismatches"])
            step.detail = ", ".join(f"{name}={options.expect[name]}" for name in options.expect)
    except CheckError:
        pass  # recorded
    finally:
        if http is not None:
            http.close()
    return {**checks.result(), **found, "certificate": trust.describe(dialer.certificate)}


def _build_target(endpoint: Endpoint, query: Mapping[str, Any]) -> str:
    parts = [endpoint.query, urlencode(query, doseq=True)]
    joined = "&".join(part for part in parts if part)
    return endpoint.path + (f"?{joined}" if joined else "")


def _check_page(endpoint: Endpoint, answer: Response) -> None:
    """Whether a page, or the way to one, comes from an application that has this address.

    :raises CheckError: an error, the default page of a proxy, or a redirection to the same name by another protocol or
        port. One to another name may be a login's.
    """
    text = answer.body[:4096].decode("utf-8", "replace")
    seen = http_errors.answer(endpoint.place, answer.status, answer.headers, answer.body).message
    if 200 <= answer.status < 300:
        if any(words in text for words in _DEFAULT_PAGES):
            raise CheckError("default_page", seen, *_NO_APPLICATION)
    elif 300 <= answer.status < 400:
        location = answer.headers.get("location", "")
        try:
            target = urlsplit(location)
            port = target.port or {"http": 80, "https": 443}.get(target.scheme, 0)
        except ValueError:
            target, port = urlsplit(""), 0
        if target.hostname == endpoint.host.lower() and (target.scheme, port) != (endpoint.scheme, endpoint.port):
            raise CheckError("redirected", f"{seen} It points to {location}.", *_STATUS["redirected"])
    elif answer.status != 401:  # a login stands before the application, which is no fault
        raise _explain_status(endpoint.place, answer)


def _read_json(place: str, answer: Response) -> dict[str, Any]:
    if answer.status == 200:
        try:
            data = json.loads(answer.body.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            data = None
        if isinstance(data, dict):
            return data
        raise CheckError(
            "not_json",
            http_errors.answer(place, answer.status, answer.headers, answer.body).message,
            "A page came back instead of data: a login, set-up, or another application or virtual host.",
            "Open the address in a browser, and check which virtual host and which upstream answer.",
        )
    raise _explain_status(place, answer)


def _explain_status(place: str, answer: Response) -> CheckError:
    failed = http_errors.answer(place, answer.status, answer.headers, answer.body)
    cause, remedy = _STATUS.get(failed.code, (failed.cause, failed.remedy))
    return CheckError(failed.code, failed.message, cause, remedy)


def compare(got: Mapping[str, Any], expect: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs: ``[{name, expected, got}]``, ``got`` null where it is missing."""
    return [
        {"name": name, "expected": wanted, "got": got.get(name)}
        for name, wanted in expect.items()
        if name not in got or not same(got[name], wanted)
    ]


def same(got: Any, wanted: Any) -> bool:
    """Whether a value is the expected one; a text from a playbook may stand for a number or a boolean."""
    if isinstance(wanted, str) and not isinstance(got, str):
        return isinstance(got, (bool, int, float)) and json.dumps(got) == wanted.strip().lower()
    return type(got) is type(wanted) and bool(got == wanted)


def _explain_mismatches(place: str, got: Mapping[str, Any], mismatches: list[dict[str, Any]]) -> None:
    if not mismatches:
        return
    detail = f"{place}: " + "; ".join(
        f"{item['name']} is {json.dumps(item['got'])} instead of {json.dumps(item['expected'])}" for item in mismatches
    )
    error = got.get("error")
    if isinstance(error, str) and error:
        raise _explain_java_error(f"{detail}: {error}.", error)
    names = {item["name"] for item in mismatches}
    for wanted, cause, remedy in _CONNECTOR:
        if names & wanted:
            raise CheckError("mismatch", f"{detail}.", cause, remedy)
    raise CheckError("mismatch", f"{detail}.", "The application sees something else.", "Compare its configuration.")


_CONNECTOR = (
    (
        {"scheme", "secure"},
        "The application does not see the protocol that users use: scheme and secure of the connector do not say it, "
        "users' requests arrive at another connector, or a RemoteIpValve follows another X-Forwarded-Proto.",
        "Set scheme and secure of the connector that the proxy forwards to, let the proxy send X-Forwarded-Proto, and "
        "restart the application: it reads server.xml when it starts.",
    ),
    (
        {"serverName", "serverPort"},
        "The application does not see the name and port that users use: proxyName and proxyPort of the connector do "
        "not say them, users' requests arrive at another connector, or a RemoteIpValve that gets X-Forwarded-Proto "
        "puts the protocol's own port (443 or 80) in the place of proxyPort.",
        "Set proxyName and proxyPort of the connector that the proxy forwards to, and restart the application: it "
        "reads server.xml when it starts. Let the proxy send no X-Forwarded-Proto where the port is another one, or "
        "give the valve httpsServerPort (httpServerPort without TLS).",
    ),
)

# Parts of what Java says, in lower case -> (code, cause, remedy).
_JAVA = {
    "pkix path building failed": (
        "tls_untrusted",
        "The application's JRE does not trust the certificate: its CA is not in the trust store that the JVM uses, "
        "the JVM started before it was imported, or the server does not send its intermediate CA.",
        "Import the CA into the trust store that the JVM really uses (-Djavax.net.ssl.trustStore beats jssecacerts "
        "beats cacerts), and restart the application.",
    ),
    "trustanchors parameter must be non-empty": (
        "tls_untrusted",
        "The JVM found its trust store empty or not at all.",
        "Check -Djavax.net.ssl.trustStore, its password, and that the run user may read the file.",
    ),
    "expired": ("tls_expired", "The certificate has ended.", "Renew it, install it with its chain, reload the server."),
    "no subject alternative": (
        "tls_wrong_name",
        "The certificate is not for this name.",
        "Use a certificate that names the server.",
    ),
    "no name matching": (
        "tls_wrong_name",
        "The certificate is not for this name.",
        "Use a certificate that names the server.",
    ),
    "unknownhost": (
        "name_unresolved",
        "The name does not resolve on the application's host.",
        "Add it to the DNS that this host uses, or to its /etc/hosts.",
    ),
    "connection refused": (
        "connection_refused",
        "From the application's host nothing listens at that address and port.",
        "Let the proxy listen on the address that the name resolves to there, and start the service.",
    ),
    "timed out": (
        "connect_timeout",
        "From the application's host the address does not answer: a firewall, or a router that does not send packets "
        "back inside (hairpin).",
        "Open the port, or let the name resolve to the inner address on this host.",
    ),
    "noroutetohost": (
        "unreachable",
        "There is no route from the application's host.",
        "Check address, route and firewall.",
    ),
    "handshake": (
        "tls_refused",
        "The JVM and the server do not agree on TLS: version, cipher or name.",
        "Check the TLS versions of both, and the certificate of the virtual host.",
    ),
    "unsupported or unrecognized ssl": (
        "tls_not_spoken",
        "The port answers without TLS.",
        "Use TLS on this port, or http.",
    ),
}


def _explain_java_error(detail: str, error: str) -> CheckError:
    lower = error.lower()
    for part, (code, cause, remedy) in _JAVA.items():
        if part in lower:
            return CheckError(code, detail, cause, remedy)
    return CheckError(
        "java", detail, "The application's JVM could not do it.", "Read what it says, and the application's log."
    )
