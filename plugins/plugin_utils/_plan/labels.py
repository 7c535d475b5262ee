# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The labels of a site's nodes: what the session ids of each end in, so that a proxy finds the node again. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

LENGTH = 8  # 32 bits: two of a hundred nodes have the same beginning once in a million sites


def label_nodes(hosts: Iterable[str]) -> dict[str, str]:
    """Inventory name -> label, for the nodes of one site.

    A label follows from the node's name alone, so it stays when other nodes come and go: sessions outlive that. It is
    a digest, as users get to see it, and names of hosts are not their business; and hexadecimal in lower case, which
    needs no quotes in any proxy, even one that compares without case (nginx's ``map``, AWS). Should two labels of one
    site be the same, those two, and no others, are longer.

    :param hosts: inventory names, in any order; a name twice is one node.
    """
    names = sorted(set(hosts))
    labels = {name: _make_label(name, LENGTH) for name in names}
    for length in range(LENGTH + 1, hashlib.sha256().digest_size * 2 + 1):
        taken = list(labels.values())
        doubled = [name for name in names if taken.count(labels[name]) > 1]
        if not doubled:
            break
        labels.update({name: _make_label(name, length) for name in doubled})
    return labels


def _make_label(name: str, length: int) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:length]
