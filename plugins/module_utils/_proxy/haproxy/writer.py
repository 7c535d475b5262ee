# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The managed block of HAProxy.

What ``defaults`` of others say holds for the sections that follow. Where some say more than cannot matter here, such as
options for every server, the block has ``defaults`` of its own and stands right before the first of theirs: so neither
holds for the other, in every version.

The block keeps its virtual hosts as lines of JSON, so that one of them can be changed without the others at hand.
"""

from __future__ import annotations

import json
import os
import re

from ansible_collections.collab.rtc.plugins.module_utils import _facts, _files
from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import (
    MARK,
    DesiredFile,
    DesiredLayout,
    ca_file,
    read_text,
    version_tuple,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import backend, parser, renderer
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.backend import Haproxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.listens import refuse_foreign
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rendering import has_tls_upstream
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

_BEGIN = f"# BEGIN collab.rtc. {MARK}: changes between these marks are lost at the next run of the playbook."
_END = "# END collab.rtc"
_VHOST = "# vhost "
_OLDEST = (2, 2)  # "http-request return"


def build_layout(server: Haproxy, vhosts: list[VhostPlan], absent: list[str], current: Proxy) -> DesiredLayout:
    """The managed block, and a file with certificate and key for each virtual host that ends TLS."""
    if server.version() and version_tuple(server.version()) < _OLDEST:
        raise ProxyError(f"HAProxy {server.version()} is too old.", "Install 2.2 or later, or use nginx or Apache.")
    path, text = server.managed_file()
    held = {item.name: item for item in _read_block(path, text)}
    gone = [name for name in absent if name in held]
    held.update({item.name: item for item in vhosts})
    kept = [held[name] for name in sorted(held) if name not in absent]
    for vhost in vhosts:
        refuse_foreign(vhost, current, any_name=True)
    result = DesiredLayout()
    directory = server.path("/etc/haproxy/collab-rtc")
    pems = {item.name: f"{directory}/{item.name}.pem" for item in kept if item.certificate}
    (result.directories if pems else result.emptied).append(directory)
    for item in kept:
        # Those of an earlier run are renewed with the others. In check mode the files may not be there yet.
        if item.certificate and os.path.exists(item.certificate) and os.path.exists(item.key):
            result.files.append(DesiredFile(pems[item.name], _join_pem(item), 0o600, secret=True))
    authorities = {item.name: ca_file(item, server) for item in kept if has_tls_upstream(item)}
    theirs = _list_defaults(server, path, text)
    apart = renderer.DEFAULTS in text or not all(map(renderer.is_harmless, theirs))
    logs = [line.words for line in theirs[-1].lines if renderer.is_logging(line.words)] if theirs and apart else []
    own = renderer.render_defaults(logs) if apart else ""
    written = logs if apart else [section for section in theirs if section.last("log")]
    block = _render_block(kept, pems, authorities, bool(written), own)
    texts = {path: _insert_block(text, block)}
    if kept and apart:
        texts = _set_apart(server, path, text, block)
    for name, content in texts.items():
        if content.strip() or name == server.main():
            result.files.append(DesiredFile(name, content.encode("utf-8", "surrogateescape")))
            result.configuration.append(name)
        else:  # a file of our own that holds nothing any more
            result.absent.append(name)
    result.absent += [f"{directory}/{name}.pem" for name in gone]
    for port in sorted({item.port for item in vhosts}):
        of_port = [item for item in kept if item.port == port]
        result.listens += [(address, port) for address in renderer.addresses(of_port)]
    return result


def _list_defaults(server: Haproxy, path: str, text: str) -> list[parser.Section]:
    """The ``defaults`` of others, in order."""
    first, last = backend.locate_block(text)
    found = (item for item in server.parse_config().sections if item.kind == "defaults")
    return [item for item in found if item.file != path or not first <= item.line <= last]


def _set_apart(server: Haproxy, path: str, text: str, block: str) -> dict[str, str]:
    """The texts of the files where the block has moved before the first ``defaults`` of others."""
    texts = {name: read_text(name) for name in server.files()}
    texts[path] = _insert_block(text, "")
    for name, content in texts.items():
        at = _find_defaults(content)
        if at >= 0:
            left = {path: texts[path]} if path != name else {}
            return {**left, name: content[:at] + "\n" + block + content[at:]}
    raise ProxyError(
        f"The defaults of {server.main()} would hold for the managed sections, and all of them are conditional.",
        "Have one defaults section outside of .if, before the others.",
    )


def _read_block(path: str, text: str) -> list[VhostPlan]:
    """The virtual hosts that the managed block keeps.

    :raises ProxyError: someone changed it so that it cannot be read.
    """
    match = backend.BLOCK.search(text)
    if not match:
        if backend.MARKED in text:
            remedy = "Put it back at the end of the managed block, or remove the block."
            raise ProxyError(f"{path}: the mark '{_END}' is missing.", remedy)
        return []
    found = []
    for line in match.group(1).splitlines():
        if line.startswith(_VHOST):
            try:
                found.append(_facts.from_dict(VhostPlan, {"site": "", **json.loads(line[len(_VHOST) :])}))
            except (ValueError, TypeError, RecursionError) as exc:
                raise ProxyError(
                    f"{path}: the line '{line[:40]}…' cannot be read.", "Remove the managed block."
                ) from exc
    return found


def _find_defaults(text: str) -> int:
    """Where the first line of ``defaults`` begins that stands in no condition; -1 where there is none."""
    depth = 0
    for match in re.finditer(r"^[ \t]*(\.if|\.endif|defaults)(?![\w-]).*$", text, re.MULTILINE):
        depth += {".if": 1, ".endif": -1}.get(match[1], 0)
        if match[1] == "defaults" and depth == 0:
            return match.start()
    return -1


def _render_block(
    vhosts: list[VhostPlan], pems: dict[str, str], authorities: dict[str, str], logs: bool, own: str
) -> str:
    if not vhosts:
        return ""
    kept = []
    for item in vhosts:
        values = _facts.to_dict(item)
        values.pop("site")
        kept.append(_VHOST + json.dumps(values, sort_keys=True))
    return "\n".join([_BEGIN, *kept, own + renderer.render(vhosts, pems, authorities, logs) + _END, ""])


def _insert_block(text: str, block: str) -> str:
    match = backend.BLOCK.search(text)
    if match:
        lead = "\n" if match.group().startswith("\n") and block else ""
        return text[: match.start()] + lead + block + text[match.end() :]
    if not block:
        return text
    return text + ("" if text.endswith("\n") or not text else "\n") + "\n" + block


def _join_pem(vhost: VhostPlan) -> bytes:
    parts = [_files.read_bytes(path, 1024 * 1024) for path in (vhost.certificate, vhost.key)]
    return b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts)
