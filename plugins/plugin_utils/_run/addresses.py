# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the checks of a site need beside its addresses, by those. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.collab.rtc.plugins.module_utils._container_facts import is_contained

PORTS = {"http": 80, "https": 443}


def find_origin(base_url: str) -> str:
    """Origin of the application's pages, as browsers send it."""
    address = urlsplit(base_url)
    return f"{address.scheme}://{address.netloc}"


def expect_request(base_url: str, server_name: str) -> dict[str, Any]:
    """How the application must see a request, as the option ``expect`` of ``application_check``."""
    address = urlsplit(base_url)
    return {
        "scheme": address.scheme,
        "serverName": server_name,
        "serverPort": address.port or PORTS[address.scheme],
        "secure": address.scheme == "https",
    }


def describe_trust(store: str, password: object, encrypted: bool) -> dict[str, Any]:
    """What the checks from an application's host trust: its trust store, for a site with TLS.

    That of a container is no file of the host: the authorities of the host's system count then.
    """
    contained = is_contained(store)
    usable = encrypted and bool(store) and not contained
    return {
        "truststore": {"path": store, "password": password} if usable else {},
        "system_trust": encrypted and contained,
    }


def find_truststore(applications: Iterable[Mapping[str, Any]], kind: str) -> str:
    """Path of the trust store that the JVM of an application (``confluence`` or ``jira``) reads; "" for none."""
    javas = (item["java"] or {} for item in applications if item["kind"] == kind and not item["leftover"])
    stores = (java.get("truststore") or {} for java in javas)
    return next((str(store["path"]) for store in stores if store), "")
