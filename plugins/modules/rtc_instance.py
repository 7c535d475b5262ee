#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rtc_instance
short_description: Run one instance of the RTC server
version_added: 0.1.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Writes the unit, the configuration and the secret of C(rtc-server@INSTANCE), and starts or restarts it when one of
    them, or the release, is newer than the running process.
  - A process whose release can reloads instead what changes without a restart, and nobody is cut off. That are the
    certificate, the secret (the earlier one lets in for C(token.overlap_seconds) yet), origins, trusted proxies and
    those limits that do not size the unit. The release says what else needs a restart.
  - Where O(config) has a section C(tls), the service gets C(tls.crt) and C(tls.key) from C(/etc/rtc-server/INSTANCE),
    where M(collab.rtc.keystore_pem) puts them.
  - The listening sockets are those of C(rtc-server@INSTANCE.socket), which outlive the process, so a restart refuses no
    connection. A release that does not know of that opens them itself, and gets no such unit.
  - What the service may take of the host, memory and file descriptors, follows from the section C(limits) of O(config).
  - The configuration is checked by the server itself before it takes the place of the old one, and before a start with
    another release. When the service does not come up, the old files are given back and the old service is started
    again.
  - A release with which the service does not get ready or ends within ten seconds, or which refuses the configuration,
    is taken back. The release that this instance was last ready with becomes current again, for the other instances on
    the host, too.
  - With C(journal.store_url), connection, rights and version of the store are tried in the same way.
  - The projects of an instance that had a journal of its own are moved into the store. The service is stopped, each
    project is exported, imported and compared, and the service is started with the store. When one cannot be moved, the
    service goes on as before. The journal is kept beside its old place as C(moved-TIME.db), by the next run where this
    one is killed. Clients start over.
  - Projects of a store are not left behind, neither for another store nor for a journal of the instance's own. The
    module fails instead, and says where it is written how projects are moved.
extends_documentation_fragment: [collab.rtc.attributes, collab.rtc.writing]
attributes:
  check_mode: {support: full}
  diff_mode:
    support: full
    details: The secret is never shown.
  idempotent: {support: full}
options:
  instance:
    description:
      - Name of the instance, such as V(confluence). Small letters, digits, C(-) and C(_), at most 27.
      - The service runs as the user C(rtc-INSTANCE), which systemd makes and which no other instance has.
    type: str
    required: true
  config:
    description: Configuration of the server, as C(files/rtc_server/config.example.toml) shows it.
    type: dict
    default: {}
  secret:
    description:
      - The secret that tokens are signed with, at least 32 characters.
      - Without one, a secret is made on the host at the first run, and kept.
    type: str
  store_password:
    description:
      - The password of the store's user, where O(config) has C(journal.store_url).
      - The service gets it as a credential. It is on no command line and in no environment.
    type: str
  store_ca:
    description: PEM text of the authority of the store's certificate.
    type: str
  panel_token:
    description:
      - The token of administrators, at least 32 characters, where O(config) has a section C(admin).
      - Without one, a token is made on the host at the first run, and kept in C(/etc/rtc-server/INSTANCE/admin-token).
      - The service gets it as a credential. Another one takes a restart.
    type: str
    version_added: 0.1.0
  panel_ca:
    description: PEM text of the authority of the certificate that users see, where its system does not trust it.
    type: str
    version_added: 0.1.0
  python:
    description: The interpreter that the server runs on.
    type: path
    default: /usr/bin/python3
  base:
    description: Directory of the releases.
    type: path
    default: /opt/rtc-server
  release:
    description:
      - Name of the release that M(collab.rtc.rtc_release) is about to make current, for check mode only. The release
        says which files it needs.
    type: str
  state:
    description: V(absent) stops the service and removes its configuration and secret; its journal stays.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Run the RTC server of Confluence
  collab.rtc.rtc_instance:
    instance: confluence
    config:
      listen: {address: 127.0.0.1, port: 9083}
"""

RETURN = r"""
unit:
  description: Name of the systemd unit.
  returned: success
  type: str
restarted:
  description: Whether the service was started or restarted.
  returned: success
  type: bool
reloaded:
  description: Whether the running service was made to read its configuration, secret and certificate anew.
  returned: success
  type: bool
moved:
  description:
    - Names of the projects that were, or in check mode would be, moved into the store. One that users make while the
      service stops is moved, and is not among them.
  returned: success
  type: list
  elements: str
config_path:
  description: Path of the configuration.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._argspec import WRITING
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._instance import moving
from ansible_collections.collab.rtc.plugins.module_utils._instance.service import Instance
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import switching, unit
from ansible_collections.collab.rtc.plugins.module_utils._undo import prune, records


def make_present(instance: Instance, changed: bool, need: str, move: moving.Move | None) -> None:
    """Put the files in place and let the service have them; on failure the old state again.

    :param move: what goes from the instance's own journal into the store.
    """
    away = instance.is_to_be_put_away()
    if move:
        move_projects(instance, move)
        need = "restart"
    try:
        if changed:
            instance.apply()
        elif need == "restart":
            instance.check_config()
        if move:
            instance.move_rest(move)
    except (RtcError, OSError) as exc:
        words = give_back(instance, changed, moved=True) if move else instance.take_back_release()
        raise add_words(exc, words) from exc
    if need == "reload":
        reload_present(instance, changed)
    elif need:
        start_present(instance, changed, bool(move))
    instance.note_ready()  # also what a run that was killed did not come to
    if not instance.uses_store():
        instance.forget_move()  # users have their journal again
    elif move or away:
        instance.put_journal_away()  # where it cannot be, the service runs, and the next run tries again


def move_projects(instance: Instance, move: moving.Move) -> None:
    """Stop the service, and put its projects into the store; on failure it goes on as before, if it ran: a node that
    stands by was stopped by somebody, while those of another one are moved."""
    ran = bool(instance.started())
    try:
        instance.require_move(move)
        instance.check_config()  # whether the store can be used: nobody is cut off for one that cannot
    except RtcError as exc:
        raise add_words(exc, instance.take_back_release()) from exc
    try:
        instance.stop()
        instance.move_all(move)
    except (RtcError, OSError) as exc:
        raise add_words(exc, give_back(instance, changed=False, stopped=ran)) from exc


def add_words(exc: RtcError | OSError, words: str) -> RtcError:
    """A failure with what was done about it."""
    message, remedy = (exc.message, exc.remedy) if isinstance(exc, RtcError) else (f"{exc}.", "")
    return RtcError(message, f"{remedy} {words}".strip())


def reload_present(instance: Instance, changed: bool) -> None:
    """Let the service reload. One that refuses goes on as it was, and so do the files."""
    try:
        instance.reload()
    except RtcError as exc:
        if changed:
            instance.give_back_running()
        raise RtcError(exc.message, f"{exc.remedy} The service runs as before.".strip()) from exc


def start_present(instance: Instance, changed: bool, moved: bool = False) -> None:
    """Start or restart the service, or the old one if it does not come up."""
    new_release = instance.is_new_release()
    try:
        instance.start()
        instance.await_ready(new_release)
        instance.is_moved = moved  # the store may have what nobody else has: there is no way back but an export
        if new_release:
            instance.watch()
    except RtcError as exc:
        raise add_words(exc, give_back(instance, changed, moved=moved)) from exc


def give_back(instance: Instance, changed: bool, stopped: bool = False, moved: bool = False) -> str:
    """The release and the files before, and the service with them; what was done, as sentences.

    :param stopped: the service was stopped, and its files are as they were.
    :param moved: it was started with the store, which has its projects now. When users have gone on with these there,
        it keeps the store.
    """
    try:
        records.require_going(instance.params["undo_dir"])
    except RtcError as exc:  # whoever came next has made the service what it is
        return str(exc)
    instance.stop()
    kept = instance.is_moved or (moved and instance.has_gone_on())
    words = instance.take_back_release()
    if kept:
        changed = False
        words = f"{words} Its projects are in the store, and it stays with that.".strip()
    elif changed:
        instance.give_back()
        if not instance.is_to_be_put_away():
            instance.forget_move()
    if not words and not ((changed or stopped) and instance.was_whole()):
        return "The service was left stopped."
    if changed and instance.was_whole():
        words = f"{words} The previous configuration was restored, and the service runs with it.".strip()
    elif stopped:
        words = f"{words} The service runs as before.".strip()
    try:
        instance.start()
    except RtcError as exc:
        return f"{words} But {exc}"
    return words


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "instance": {"type": "str", "required": True},
            "config": {"type": "dict", "default": {}},
            "secret": {"type": "str", "no_log": True},
            "store_password": {"type": "str", "no_log": True},
            "store_ca": {"type": "str"},
            "panel_token": {"type": "str", "no_log": True},
            "panel_ca": {"type": "str"},
            "python": {"type": "path", "default": "/usr/bin/python3"},
            "base": {"type": "path", "default": unit.BASE},
            "release": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **WRITING,
        },
        supports_check_mode=True,
    )
    params = module.params
    if not unit.INSTANCE.match(params["instance"]):
        module.fail_json(msg="The name of an instance has small letters, digits, - and _, and at most 27 of them.")
    if params["secret"] and len(params["secret"]) < 32:
        module.fail_json(msg="rtc_secret has fewer than 32 characters. Make a longer one: openssl rand -base64 48.")
    if params["panel_token"] and (len(params["panel_token"]) < 32 or not params["panel_token"].isascii()):
        module.fail_json(msg="rtc_panel_token needs 32 or more characters of ASCII: openssl rand -hex 32 makes one.")
    if not module.check_mode:
        params["release"] = None  # it is current by now, or was taken back
    try:
        instance = Instance(params)
        changed = bool(instance.changed_paths())
        present = params["state"] == "present"
        move = instance.find_move() if present and changed else None
        kept = (
            moving.describe_kept(instance.config_path, instance.after[instance.config_path] or b"") if present else ""
        )
        changed = changed or (present and instance.uses_store() and instance.is_to_be_put_away())
        others = instance.describe_others(move) if move else ""
        need = instance.need() if present else ""
        restarted, reloaded = need == "restart", need == "reload"
        if not module.check_mode:
            if present:
                make_present(instance, bool(instance.changed_paths()), need, move)
            elif changed:
                records.require_going(params["undo_dir"])
                instance.stop()
                if instance.is_to_be_put_away():
                    instance.put_journal_away()
                instance.forget_move()
                instance.apply()
                _files_tree.remove(switching.path_of_ready(params["base"], params["instance"]))
        elif move:
            instance.require_move(move)
    except (RtcError, OSError, TypeError) as exc:
        module.fail_json(msg=str(exc))
    for note in filter(None, (kept, others)):
        module.warn(note)
    prune.prune_after(module)
    module.exit_json(
        changed=changed or restarted or reloaded,
        restarted=restarted,
        reloaded=reloaded,
        moved=move.names if move else [],
        unit=instance.unit,
        config_path=instance.config_path,
        diff=instance.diff(),
    )


if __name__ == "__main__":
    main()
