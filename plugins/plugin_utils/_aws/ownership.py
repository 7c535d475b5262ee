# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which things at AWS are a site's own: by their tags. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import (
    PREFIX,
    TAG_APPLICATION,
    TAG_INVENTORY,
    TAG_NODES,
    TAG_SITE,
    Seen,
    SeenGroup,
    SeenIngress,
    SeenListener,
    Tags,
    WantedListener,
)

VALUE = 256  # characters that a tag's value may have
# Letters, numbers, spaces and + - = . _ : / @ (ELB API reference, Tag).
_FORBIDDEN = re.compile(r"[^\w\s+\-=.:/@]")


def make_tags(wanted: WantedListener) -> Tags:
    """The tags of all that is made for a site."""
    return {
        TAG_SITE: clean(wanted.site),
        TAG_INVENTORY: clean(wanted.inventory),
        TAG_APPLICATION: wanted.application,
        TAG_NODES: _join_nodes(wanted.nodes),
    }


def clean(text: str) -> str:
    """A text as the value of a tag. A long one ends in a digest, so that two stay two."""
    value = _FORBIDDEN.sub("_", text)
    return value if len(value) <= VALUE else f"{value[: VALUE - 17]} {digest(text, 16)}"


def digest(text: str, length: int) -> str:
    """The beginning of a digest in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _join_nodes(nodes: Iterable[str]) -> str:
    """As many names as fit; a site is known by any of them, and by its own name."""
    value = ""
    for name in sorted(name_nodes(nodes)):
        if len(value) + len(name) + 1 > VALUE:
            break
        value = f"{value} {name}".strip()
    return value


def is_own(tags: Tags, wanted: WantedListener) -> bool:
    """Whether something belongs to a site: to its name, or to one of its nodes, whose site had another name before."""
    wants = make_tags(wanted)
    if any(tags.get(name) != wants[name] for name in (TAG_INVENTORY, TAG_APPLICATION)):
        return False
    if tags.get(TAG_SITE) in {clean(name) for name in wanted.neighbours}:
        return False
    there = read_nodes(tags)
    if not wanted.present and there & name_nodes(wanted.kept):
        return False
    return tags.get(TAG_SITE) == wants[TAG_SITE] or bool(there & name_nodes(wanted.nodes))


def read_nodes(tags: Tags) -> set[str]:
    """The nodes that something has in its tags."""
    return set(tags.get(TAG_NODES, "").split())


def name_nodes(nodes: Iterable[str]) -> set[str]:
    """Inventory names as tags have them: without blanks."""
    return {clean(node).replace(" ", "_") for node in nodes}


def is_ours(tags: Tags) -> bool:
    """Whether a run of this collection, of any inventory, has made something."""
    return bool(tags.get(TAG_INVENTORY)) and bool(tags.get(TAG_SITE))


def describe_owner(tags: Tags) -> str:
    """Whose something is, for a message."""
    if not is_ours(tags):
        return "was not made by this collection"
    return f"belongs to {tags[TAG_SITE]} of the inventory {tags[TAG_INVENTORY]}"


def explain_rename(tags: Tags, wanted: WantedListener) -> str:
    """What else to do about something of this very site that another inventory has made: this one, by another name."""
    same = tags.get(TAG_SITE) == clean(wanted.site) or read_nodes(tags) & name_nodes(wanted.nodes)
    if not (same and is_ours(tags)) or tags[TAG_INVENTORY] == clean(wanted.inventory):
        return ""
    return f" If the inventory was renamed, set rtc_inventory_id: {tags[TAG_INVENTORY]}."


def list_listeners(seen: Seen, wanted: WantedListener) -> list[SeenListener]:
    """The listeners of a site, on whatever port and load balancer."""
    return [item for item in seen.listeners if is_own(item.tags, wanted)]


def list_groups(seen: Seen, wanted: WantedListener) -> list[SeenGroup]:
    """The target groups of a site."""
    return [item for item in seen.groups if is_own(item.tags, wanted)]


def list_ingress(seen: Seen, wanted: WantedListener) -> list[SeenIngress]:
    """The rules of security groups that were made for a site."""
    return [item for item in seen.ingress if is_own(item.tags, wanted)]


def name_group(wanted: WantedListener, kind: str, load_balancer: str, node: str = "") -> str:
    """The name of a target group: 32 characters at most, letters, digits and hyphens.

    What cannot be changed of a target group is in the digest, so that another port or protocol is another group; the
    load balancer, too: AWS lets a target group be at one only.

    :param load_balancer: its ARN.
    :param node: "" for the group that has all nodes.
    """
    parts = (
        *(wanted.inventory, wanted.application, wanted.server_name, str(wanted.port)),
        *(wanted.target_protocol, kind, load_balancer, node),
    )
    return f"{PREFIX}{wanted.application}-{digest(chr(0).join(parts), 12)}"
