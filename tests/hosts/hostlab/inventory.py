# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the lab's description from an Ansible inventory: the hosts are described in one place only.

A YAML inventory with its group_vars/ and host_vars/, values written out (no templates in what the lab reads), is all
that is understood here; Ansible itself reads the same files.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .errors import LabError

IMAGES = ("application", "proxy")
FAMILIES = ("debian", "redhat")  # redhat: its layouts, dnf, firewalld and SELinux's tools on Debian 12 (systemd 252)
PRODUCTS = ("confluence", "jira")
HTTP_PORTS = {"confluence": 8090, "jira": 8080}
HTTPS_PORTS = {"confluence": 8443, "jira": 8444}  # of applications that end TLS themselves
STORES = ("JKS", "PKCS12", "HOME")  # HOME: .keystore of the run user, which no attribute names
# Debian release -> its name, and the Tomcat and Java that an application gets there.
RELEASES = {11: ("bullseye", 9, 11), 12: ("bookworm", 10, 17), 13: ("trixie", 11, 21)}
TOMCATS = {11: (9,), 12: (9, 10), 13: (10, 11)}


@dataclass(frozen=True)
class Store:
    """The key store that an application's own TLS connector names: `kind` of STORES, certificate for `name`."""

    kind: str
    name: str


@dataclass(frozen=True)
class Host:
    """One host of the lab. `contexts`: product -> context path ("" is the root); `names`: server names it answers to.

    `stores`: products whose own connector ends TLS -> their key store.
    """

    name: str
    address: str
    image: str
    family: str
    debian: int
    tomcat: int
    products: tuple[str, ...]
    contexts: dict[str, str]
    service: str
    names: tuple[str, ...]
    stores: dict[str, Store]

    @property
    def ports(self) -> dict[str, int]:
        """Product -> TCP port of its user connector."""
        return {product: (HTTPS_PORTS if product in self.stores else HTTP_PORTS)[product] for product in self.products}


@dataclass(frozen=True)
class Lab:
    """A lab: its name (prefix of containers, name of the network), its network, its files, its hosts."""

    name: str
    subnet: str
    state: Path
    hosts: dict[str, Host]
    server_names: tuple[str, ...]

    def select(self, names: list[str]) -> list[Host]:
        """The hosts of these names, all without any. Raises LabError for a name that is not in the inventory."""
        unknown = [name for name in names if name not in self.hosts]
        if unknown:
            raise LabError(f"No such host in the inventory: {', '.join(unknown)}. There are: {', '.join(self.hosts)}.")
        return [self.hosts[name] for name in names] if names else list(self.hosts.values())

    def container(self, host: Host) -> str:
        return f"{self.name}-{host.name}"


def _load(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise LabError(f"Cannot read the inventory {path}: {err.strerror}. Name one with --inventory.") from err
    except yaml.YAMLError as err:
        raise LabError(f"{path} is no valid YAML: {err}") from err
    if not isinstance(data or {}, dict):
        raise LabError(f"{path} must hold a mapping, not a {type(data).__name__}.")
    return data or {}


def _side_vars(folder: Path, name: str) -> dict[str, Any]:
    """Variables of group_vars/NAME or host_vars/NAME: a file, or the files of a directory."""
    found: dict[str, Any] = {}
    for path in [folder / f"{name}.yml", folder / f"{name}.yaml", *sorted((folder / name).glob("*.y*ml"))]:
        if path.is_file():
            found.update(_load(path))
    return found


def _merge(path: Path) -> dict[str, dict[str, Any]]:
    """Host -> its variables by Ansible's order: all, parent groups, child groups (later ones win), the host."""
    folder = path.parent
    everyone: dict[str, Any] = {}
    by_group: dict[str, dict[int, dict[str, Any]]] = {}
    own: dict[str, dict[str, Any]] = {}

    def walk(group: str, body: dict[str, Any] | None, inherited: dict[str, Any], depth: int) -> None:
        body = body or {}
        variables = {**(body.get("vars") or {}), **_side_vars(folder / "group_vars", group)}
        if group == "all":
            everyone.update(variables)
            variables = {}
        merged = {**inherited, **variables}
        for host, values in (body.get("hosts") or {}).items():
            by_group.setdefault(host, {}).setdefault(depth, {}).update(merged)
            own.setdefault(host, {}).update(values or {})
        for child, child_body in (body.get("children") or {}).items():
            walk(child, child_body, merged, depth + 1)

    for group, body in _load(path).items():
        walk(group, body, {}, 0)
    merged_hosts = {}
    for host, values in own.items():
        variables = dict(everyone)
        for _depth, group_values in sorted(by_group[host].items()):
            variables.update(group_values)
        merged_hosts[host] = {**variables, **values, **_side_vars(folder / "host_vars", host)}
    return merged_hosts


def _as_list(value: Any) -> list[str]:
    if value is None or value == "":
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _server_names(value: Any) -> list[str]:
    """One name, or one for each product."""
    return [str(name) for name in value.values()] if isinstance(value, dict) else _as_list(value)


def _contexts(name: str, products: tuple[str, ...], value: Any) -> dict[str, str]:
    paths = value if isinstance(value, dict) else dict.fromkeys(products, value)
    contexts = {}
    for product in products:
        path = str(paths.get(product) or "").rstrip("/")
        if path and not path.startswith("/"):
            raise LabError(f"{name}: lab_context_path must begin with '/', not be {path!r}.")
        contexts[product] = path
    return contexts


def _stores(name: str, products: tuple[str, ...], values: dict[str, Any]) -> dict[str, Store]:
    kinds, names = values.get("lab_keystore") or {}, values.get("lab_keystore_name") or values.get("rtc_server_name")
    stores = {}
    for product, kind in kinds.items() if isinstance(kinds, dict) else dict.fromkeys(products, kinds).items():
        _one_of(name, "lab_keystore", kind, STORES)
        own = names.get(product) if isinstance(names, dict) else names
        if product not in products or not own:
            raise LabError(f"{name}: lab_keystore names {product}, which is not there or has no rtc_server_name.")
        stores[product] = Store(kind, str(own))
    return stores


def _one_of(name: str, variable: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise LabError(f"{name}: {variable} is {value!r}; the lab knows {', '.join(map(str, allowed))}.")


def _host(name: str, values: dict[str, Any], network: ipaddress.IPv4Network) -> Host:
    image = values.get("lab_image", "application")
    _one_of(name, "lab_image", image, IMAGES)
    family = values.get("lab_family", "debian")
    _one_of(name, "lab_family", family, FAMILIES)
    debian = values.get("lab_debian", 12)
    _one_of(name, "lab_debian", debian, tuple(RELEASES) if family == "debian" else (12,))
    tomcat = values.get("lab_tomcat", RELEASES[debian][1])
    _one_of(name, "lab_tomcat", tomcat, TOMCATS[debian])
    service = values.get("lab_service", "systemd")
    _one_of(name, "lab_service", service, ("systemd", "sysv"))
    products = tuple(sorted(_as_list(values.get("lab_product", "confluence")))) if image == "application" else ()
    for product in products:
        _one_of(name, "lab_product", product, PRODUCTS)
    address = str(values.get("ansible_host", ""))
    try:
        inside = ipaddress.IPv4Address(address) in network
    except ValueError:
        inside = False
    if not inside:
        raise LabError(f"{name}: ansible_host must be an address of the lab's network {network}, not {address!r}.")
    return Host(
        name=name,
        address=address,
        image=image,
        family=family,
        debian=debian,
        tomcat=tomcat,
        products=products,
        contexts=_contexts(name, products, values.get("lab_context_path")),
        service=service,
        names=tuple(_as_list(values.get("lab_names"))),
        stores=_stores(name, products, values),
    )


def read(path: Path, name: str | None = None) -> Lab:
    """Read the inventory file `path`; `name` overrides its lab_name. Raises LabError with host and variable."""
    path = path.resolve()
    merged = _merge(path)
    if not merged:
        raise LabError(f"{path} names no hosts.")
    some = next(iter(merged.values()))
    absent = [key for key in ("lab_name", "lab_subnet", "lab_state") if not some.get(key)]
    if absent:
        raise LabError(f"{path}: the variables of group 'all' must set {', '.join(absent)}.")
    network = ipaddress.IPv4Network(some["lab_subnet"])
    hosts = {host: _host(host, values, network) for host, values in merged.items()}
    for attribute in ("address", "names"):
        seen: dict[str, str] = {}
        for host in hosts.values():
            for value in _as_list(getattr(host, attribute) if attribute == "address" else list(host.names)):
                if value in seen:
                    raise LabError(f"{host.name} and {seen[value]} both have {value}.")
                seen[value] = host.name
    server_names = {name for host in hosts.values() for name in host.names}
    server_names |= {store.name for host in hosts.values() for store in host.stores.values()}
    server_names |= {name for values in merged.values() for name in _server_names(values.get("rtc_server_name"))}
    return Lab(
        name=name or str(some["lab_name"]),
        subnet=str(network),
        state=(path.parent / str(some["lab_state"])).resolve(),
        hosts=hosts,
        server_names=tuple(sorted(server_names)),
    )
