# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of a host before they are evaluated, with what they may use, and where they are set.

``hostvars[host]`` evaluates without ``hostvars`` itself, which inventories do use in their variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible import errors
from jinja2 import Environment, TemplateError, nodes

try:
    from ansible._internal._datatag._tags import Origin
except ImportError:  # ansible-core up to 2.18, whose objects have ansible_pos; or one that keeps it elsewhere
    Origin = None

_OMITTED: Any = getattr(errors, "AnsibleValueOmittedError", ())  # until 2.18 there is a text in its place


def get_raw(hostvars: Mapping[str, Any], host: str) -> dict[str, Any]:
    """The variables of a host as the inventory has them, templates and all."""
    return dict(hostvars.raw_get(host)) if hasattr(hostvars, "raw_get") else dict(hostvars[host])


def get_known(hostvars: Mapping[str, Any], host: str) -> dict[str, Any]:
    """All that a template of this host may use: its variables, and ``hostvars``."""
    return {**get_raw(hostvars, host), "hostvars": hostvars}


class OmittedError(errors.AnsibleError):  # type: ignore[misc]  # Ansible has no types
    """A variable is ``omit``, as that of ``{{ other | default(omit) }}`` may be."""


def resolve(templar: Any, value: Any, variables: Mapping[str, Any]) -> Any:
    """What a variable is; whatever a filter in it raises is an error of Ansible, as from ansible-core 2.19 on.

    :param variables: those of the host, as :func:`get_raw` has them.
    :raises OmittedError: it is omitted.
    :raises AnsibleError: it cannot be evaluated.
    """
    why = "it is omit, which only arguments of tasks may be: write default('') in place of default(omit)"
    try:
        result = templar.template(value)
    except _OMITTED:
        raise OmittedError(why) from None
    except errors.AnsibleError:
        raise
    except Exception as error:  # filters are anybody's
        raise errors.AnsibleError(f"{type(error).__name__}: {error}") from None
    if isinstance(result, str) and result == variables.get("omit"):
        raise OmittedError(why)
    return result


def locate(item: Any) -> str:
    """Where the inventory has a name or a value, as FILE:LINE; "" where Ansible does not say.

    Of a variable that several files set, the name may be that of the first one: ask for the value.
    """
    path, line = (getattr(item, "ansible_pos", None) or (None, None))[:2]
    origin = Origin.get_tag(item) if Origin else None
    if origin:
        path, line = origin.path or origin.description, origin.line_num
    return f"{path}:{line}" if path and line else str(path or "")


_ELSEWHERE = frozenset({"lookup", "query", "q", "hostvars", "vars"})  # what these would lead to is not seen here


def is_computed(value: Any, variables: Mapping[str, Any]) -> bool:
    """Whether a value is made of variables of its host alone, also where these are templates again.

    A lookup may ask somebody, or make what it does not find, so that to evaluate it is not for everybody.

    :param variables: those of the host, as :func:`get_raw` has them.
    """
    todo: list[Any] = [value]
    seen: set[str] = set()
    while todo:
        for text in _list_texts(todo.pop()):
            try:
                names = {node.name for node in Environment().parse(text).find_all(nodes.Name)}  # noqa: S701 - not run
            except TemplateError:
                continue  # which evaluating it tells
            if names & _ELSEWHERE:
                return False
            todo += [variables[name] for name in names - seen if name in variables]
            seen |= names
    return True


def _list_texts(value: Any) -> Iterator[str]:
    """The templates in a value. What is vaulted is none, and is not decrypted."""
    if isinstance(value, str) and "{" in value:
        yield value
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ():
        yield from _list_texts(item)


def find_outside(
    task_vars: Mapping[str, Any], hostvars: Mapping[str, Any], is_ours: Callable[[str], bool]
) -> list[str]:
    """Names of variables that this task sees, and ``hostvars`` does not have, or has with another value.

    They are those of a play (``vars`` and ``vars_files``, of ``import_playbook``, too), of a role or of a task.

    :param is_ours: whether a name is to be looked at.
    """
    host = str(task_vars.get("inventory_hostname", ""))
    if host not in hostvars:
        return []
    raw, nothing = get_raw(hostvars, host), object()
    found = {name: (value, raw.get(name, nothing)) for name, value in task_vars.items() if is_ours(name)}
    # Identity first: to compare vaulted values is to decrypt them.
    return sorted(name for name, (seen, known) in found.items() if seen is not known and seen != known)
