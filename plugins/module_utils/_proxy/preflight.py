# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks before a virtual host is written: its certificate, and that its port is free."""

from __future__ import annotations

import errno

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._facts import Listener, Proxy, ProxyListen
from ansible_collections.collab.rtc.plugins.module_utils._proxy import binding, control, kin, sockets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import Backend, DesiredLayout
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.plugins.module_utils._x509 import pair, server_certificate
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import parse_certificates


def check_certificate(vhost: VhostPlan) -> list[str]:
    """Check the certificate that a virtual host presents: it is for this name, in its time, and the key is its own.

    :returns: warnings (about to expire).
    :raises RtcError: what is wrong, with the path.
    """
    if bool(vhost.certificate) != bool(vhost.key):
        raise ProxyError(f"{vhost.name} has only one of certificate and key.", "Give both, or none for plain HTTP.")
    if not vhost.certificate:
        return []
    data = _files.read_bytes(vhost.certificate, 1024 * 1024)
    chain = parse_certificates(data, vhost.certificate)
    _check_pair(vhost, data, _files.read_bytes(vhost.key, 1024 * 1024))
    leaf = chain[0]
    if not server_certificate.match_name(leaf, vhost.server_name):
        held = ", ".join(leaf.alternative_names) or "no name at all"
        raise ProxyError(
            f"The certificate {vhost.certificate} is not for {vhost.server_name}; it holds {held}.",
            "Have one issued with that name among its alternative names.",
        )
    state = server_certificate.validity(leaf)
    if state in ("expired", "not yet valid"):
        raise ProxyError(
            f"{vhost.certificate}: {' '.join(server_certificate.problems(leaf))}",
            "Renew it, or correct the host's clock.",
        )
    return [f"{vhost.certificate}: {text}" for text in server_certificate.problems(leaf)]


def check_authorities(vhost: VhostPlan) -> None:
    """Check that ``upstream_ca`` is a file of certificates.

    :raises RtcError: it is not.
    """
    if vhost.upstream_ca:
        parse_certificates(_files.read_bytes(vhost.upstream_ca), vhost.upstream_ca)


def _check_pair(vhost: VhostPlan, certificate: bytes, key: bytes) -> None:
    fault = pair.find_fault(certificate, key)
    if fault == pair.ENCRYPTED:
        raise ProxyError(f"The key {vhost.key} is encrypted with a pass phrase.", "Store it without one, mode 0600.")
    if fault == pair.MISMATCH:
        raise ProxyError(
            f"The key {vhost.key} is not that of the certificate {vhost.certificate}.",
            "Give the key that the certificate was requested with; the leaf must be the first certificate in its file.",
        )
    if fault:
        raise ProxyError(
            f"{vhost.certificate} and {vhost.key} cannot be used: {fault}.",
            "Both must be PEM: the certificate with its chain, leaf first, and the key without a pass phrase.",
        )


def refuse_unread(backend: Backend, ports: set[int], current: Proxy) -> None:
    """Stop where the server itself has a port, and nothing that was read says so: users would be torn between two.

    :raises ProxyError: naming the socket and its process.
    """
    live = control.listening()
    for port in sorted(ports):
        item = sockets.find_unread(current, backend.programs, live, port)
        if item:
            raise ProxyError(
                f"{item.process} ({item.pid}) listens on {item.address}:{port}, and nothing that could be read of "
                f"{current.config} accounts for it.",
                "Find what makes it listen there: a variable, a file outside, another instance. If it was taken out of "
                "the configuration already, reload the server first.",
            )


def check_ports(backend: Backend, desired: DesiredLayout, current: Proxy, master: int) -> None:
    """Bind for a moment, all together, what the server would bind: each address is this host's, and nobody has it.

    A server that finds this out itself keeps running with its old configuration at best (nginx), or stops (Apache).

    :param master: process id of the running server, 0 for none.
    :raises ProxyError: naming the address, port and process.
    """
    binding.refuse_powerless(backend.kind, master, [port for _name, port in desired.listens])
    live = [(sockets.from_listener(item), item) for item in control.listening()]
    has = [item for host in current.hosts for item in host.listens] if master else []
    family = kin.family(master, backend.programs)
    places = [(item, port) for name, port in desired.listens for item in sockets.resolve(name) or (name,)]
    # Those of others that are not open yet: nginx and HAProxy open them with ours, or none.
    theirs = {
        (item.address, item.port): item
        for item in has
        if not item.last_port and (item.address, item.port) not in places
    }
    with binding.Trial(joins=backend.joins) as trial:
        for address, port in [*sorted(places, key=_is_special), *theirs]:
            place = theirs.get((address, port))
            dual = place.dual if place else (address, port) in desired.dual
            reason = trial.bind(address, port, dual)
            held = [pair for pair in live if pair[0].port == port and _meet(pair[0], address, dual)]
            # A worker that gave up root hides its sockets; then what its configuration says counts.
            configured = any(item.takes(port) and sockets.meets(item, address) for item in has)
            own = [pair for pair in held if pair[1].pid in family or (configured and not pair[1].pid)]
            strangers = [pair[1] for pair in held if pair not in own]
            if place:
                if reason == errno.EADDRINUSE and not own and strangers:
                    _refuse_taken(backend, f"{place.file}:{place.line}", address, port, strangers)
            elif reason == errno.EADDRNOTAVAIL:
                raise ProxyError(
                    f"{address} is not an address of this host, so {backend.kind} cannot listen on it.",
                    "Check the listen addresses of the plan, and what the server name resolves to.",
                )
            elif reason == errno.EADDRINUSE:
                same = [item for item in strangers if sockets.normalize(item.address) == address]
                origin = desired.origins.get((address, port), "")
                if not held and trial.holds(address, port):
                    _refuse_both(backend, origin, address, port)
                if not own or same:  # with SO_REUSEPORT two processes have it, and get half of the connections each
                    _refuse_taken(backend, origin, address, port, same or strangers)
                _check_reloadable(backend, address, port, [listen for listen, _item in own])


def _is_special(place: tuple[str, int]) -> bool:
    return not sockets.is_wildcard(place[0])


def _meet(listen: ProxyListen, address: str, dual: bool) -> bool:
    return sockets.meets(listen, address) or (dual and sockets.is_wildcard(address))


def _refuse_both(backend: Backend, origin: str, address: str, port: int) -> None:
    raise ProxyError(
        f"{origin or 'A virtual host of the plan'} makes {backend.kind} listen on {address}:{port}, and another line "
        "on all addresses of that port: it would end when it is reloaded.",
        "Keep one of the two.",
    )


def _refuse_taken(backend: Backend, origin: str, address: str, port: int, held: list[Listener]) -> None:
    who = ", ".join(f"{item.process or 'a process'} ({item.pid or 'hidden'}) on {item.address}" for item in held)
    remedy = (
        f"{origin} makes {backend.kind} listen there: remove that, or stop the other process."
        if origin
        else "Let that process listen on the loopback address only, or choose another port."
    )
    raise ProxyError(f"Port {port} on {address} is in use by {who or 'another process'}.", remedy)


def _check_reloadable(backend: Backend, address: str, port: int, own: list[ProxyListen]) -> None:
    """A running server binds what is new beside what it has. From "*" to one address, or back, that cannot work."""
    general = sockets.is_wildcard(address)
    if backend.rebinds or any(item.address == address or (general and item.dual) for item in own):
        return
    raise ProxyError(
        f"{backend.kind} listens on {own[0].address}:{port} now, "
        f"and cannot change to {address}:{port} without a restart.",
        "Take the virtual host away first (state: absent) and then write it anew; or write it with reload: false, and "
        "restart the server when users can bear it.",
    )
