# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``rtc-server``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from . import __version__, sockets
from .arguments import (
    open_input,
    read_input,
    read_name,
    read_pid,
    read_positive,
    read_project,
    read_text,
    read_user,
    writing_text,
)
from .auth import EDIT, MAX_TOKEN, QUERY_SECONDS, VIEW
from .config import Config, ConfigError, find_url, load, parse, read_admin_token
from .journal import JournalError, backup, export_import
from .journal.repair import repair
from .journal.verify import verify_journal
from .option_checks import BadValue, check_url

CHECK_MINUTES = 60
_LONGEST = 100 * 365 * 86400  # seconds that a token may be valid for


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 well, 1 refused, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        with writing_text():
            status: int = options.run(options)
    except (ConfigError, JournalError) as exc:
        print(exc, file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rtc-server", description="Durable real-time collaboration over Socket.IO.")
    parser.add_argument("--version", action="version", version=f"rtc-server {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    _add_operating(commands)
    token = commands.add_parser("token", help="print a token that lets a user in")
    token.add_argument("--config", required=True, metavar="FILE")
    token.add_argument("--user", required=True, type=read_user)
    token.add_argument("--name", default="", type=read_name, help="the name that others see")
    token.add_argument(
        "--project", required=True, action="append", type=read_project, help="may be repeated; * is every project"
    )
    token.add_argument("--right", choices=(EDIT, VIEW), default=VIEW)
    token.add_argument(
        "--ttl",
        type=int,
        default=120,
        metavar="SECONDS",
        help=f"120; beyond {QUERY_SECONDS} the token is not valid in a query (clients of Engine.IO 3)",
    )
    token.set_defaults(run=_token)

    link = commands.add_parser("check-link", help="print a link to the page that checks the way from a user's browser")
    link.add_argument("--config", required=True, metavar="FILE")
    link.add_argument("--minutes", type=int, default=15, help=f"for which it lets in: 15, at most {CHECK_MINUTES}")
    link.add_argument("--url", default="", help="of the site's RTC port, such as https://wiki.example.org:9083")
    link.set_defaults(run=_check_link)

    _add_transfers(commands)
    verify = commands.add_parser("verify-journal", help="check that a journal is whole (the server may run)")
    verify.add_argument("--config", required=True, metavar="FILE")
    verify.set_defaults(run=_verify)

    copy = commands.add_parser("backup", help="copy the journal of one moment into a new file (the server may run)")
    copy.add_argument("--config", required=True, metavar="FILE")
    copy.add_argument("target", metavar="TARGET", help="the copy, one file, which must not exist")
    copy.set_defaults(run=_back_up)

    projects = commands.add_parser(
        "list-projects", help="print name, revision, kept changes and bytes of each project (the server may run)"
    )
    projects.add_argument("--config", required=True, metavar="FILE")
    projects.set_defaults(run=_list_projects)

    delete = commands.add_parser("delete-project", help="delete a project's data for ever (the server must not run)")
    delete.add_argument("--config", required=True, metavar="FILE")
    delete.add_argument("--project", required=True, type=read_text)
    delete.set_defaults(run=_delete_project)

    compact = commands.add_parser(
        "compact", help="give the journal's free space back to the file system (the server must not run)"
    )
    compact.add_argument("--config", required=True, metavar="FILE")
    compact.set_defaults(run=_compact)

    mend = commands.add_parser(
        "repair", help="save what is whole of a damaged journal into a new one (no server must run on either)"
    )
    mend.add_argument("source", metavar="SOURCE", help="the damaged journal, which is only read")
    mend.add_argument("target", metavar="TARGET", help="the new journal, which must not exist")
    mend.set_defaults(run=_repair)

    epoch = commands.add_parser(
        "new-epoch", help="after restoring an older copy of the journal: clients start over (the server must not run)"
    )
    epoch.add_argument("--config", required=True, metavar="FILE")
    epoch.set_defaults(run=_new_epoch)
    return parser


def _add_transfers(commands: Any) -> None:
    export = commands.add_parser("export", help="print a project's journal as JSON lines (the server may run)")
    export.add_argument("--config", required=True, metavar="FILE")
    export.add_argument("--project", required=True, type=read_text)
    export.set_defaults(run=_export)

    import_ = commands.add_parser("import", help="read an export from standard input (the server must not run)")
    import_.add_argument("--config", required=True, metavar="FILE")
    import_.add_argument("--project", type=read_project, help="import it under this name")
    import_.add_argument("--replace", action="store_true", help="replace the project if the journal has it")
    import_.set_defaults(run=_import)

    move = commands.add_parser(
        "move", help="put all projects of an embedded journal into a store, and compare (the server must not run)"
    )
    move.add_argument("--config", required=True, metavar="FILE", help="of the embedded journal, which stays as it is")
    move.add_argument("--skip", action="append", default=[], type=read_text, metavar="PROJECT", help="may be repeated")
    move.add_argument("new", metavar="NEW", help="configuration that names the store")
    move.set_defaults(run=_move)


def _add_operating(commands: Any) -> None:
    """What a service manager calls, and what tells it whether that will go well."""
    serve = commands.add_parser("serve", help="run the server")
    serve.add_argument("--config", required=True, metavar="FILE")
    serve.set_defaults(run=_serve)

    again = commands.add_parser(
        "reload", help="let a running server read its configuration anew, and tell whether it did (ExecReload=)"
    )
    again.add_argument("--pid", required=True, type=read_pid, metavar="PID", help="of the server: $MAINPID in its unit")
    again.add_argument("--timeout", type=read_positive, default=20.0, metavar="SECONDS", help="20")
    again.set_defaults(run=_reload)

    compare = commands.add_parser("check-reload", help="whether a reload leads from one configuration to another")
    compare.add_argument("old", metavar="OLD")
    compare.add_argument("new", metavar="NEW", help="- is standard input")
    compare.set_defaults(run=_check_reload)

    places = commands.add_parser("check-sockets", help="whether a configuration is for sockets of systemd")
    places.add_argument("file", metavar="FILE", help="- is standard input")
    places.add_argument("places", nargs="+", metavar="ADDRESS:PORT", help="as in ListenStream=")
    places.set_defaults(run=_check_sockets)

    doctor = commands.add_parser(
        "doctor", help="what is wrong with a server on this host, whether it runs or not; for monitoring, too"
    )
    doctor.add_argument("--config", required=True, metavar="FILE")
    doctor.add_argument("--unit", default="", help="of systemd; of /etc/rtc-server/NAME.toml: rtc-server@NAME.service")
    doctor.add_argument("--days", type=read_positive, default=14, help="14; a certificate valid for less is a warning")
    doctor.add_argument("--json", action="store_true", help="for programs")
    doctor.error = lambda message: doctor.exit(3, f"RTC UNKNOWN - {message}\n")  # 2 would be critical
    doctor.set_defaults(run=_examine)

    check = commands.add_parser("check-config", help="check a configuration file and the files it names")
    check.add_argument("file", metavar="FILE")
    check.add_argument(
        "--json", action="store_true", help="for programs: complaints, and what the store is found to be"
    )
    check.set_defaults(run=_check)


def _serve(options: argparse.Namespace) -> int:
    from .app import run

    return run(load(options.config))


def _reload(options: argparse.Namespace) -> int:
    from .reload import ask

    refused = ask(options.pid, options.timeout)
    if refused:
        print(f"not reloaded, all stays as it was: {refused}", file=sys.stderr)
    return 1 if refused else 0


def _examine(options: argparse.Namespace) -> int:
    from . import doctor

    place = doctor.find_place(options.config, options.unit, options.days)
    checks = doctor.examine(place)
    name = place.unit or place.config
    print(doctor.format_json(name, checks) if options.json else doctor.format_text(name, checks))
    return doctor.find_worst(checks)


def _load_new(file: str) -> Config:
    return parse(read_input(), "standard input") if file == "-" else load(file)


def _check_sockets(options: argparse.Namespace) -> int:
    server = _load_new(options.file).server
    try:
        given = [sockets.parse_place(text) for text in options.places]
    except ValueError as exc:
        print(f"no ADDRESS:PORT: {exc}", file=sys.stderr)
        return 1
    wrong = sockets.find_difference(server.address, server.port, given)
    if wrong:
        print(f"{options.file}: server.address, server.port: {wrong}", file=sys.stderr)
    return 1 if wrong else 0


def _check_reload(options: argparse.Namespace) -> int:
    from .reload import find_fixed

    fixed = find_fixed(load(options.old), _load_new(options.new))
    for name in fixed:
        print(f"{options.new}: {name}: changes with a restart only", file=sys.stderr)
    return 1 if fixed else 0


def _check(options: argparse.Namespace) -> int:
    from .app import check_authority, look_at_store, make_tls_context, make_tokens

    complaints: list[str] = []
    store: dict[str, Any] | None = None
    try:
        config = load(options.file)
    except ConfigError as exc:
        complaints += exc.complaints
    else:
        checks: list[Callable[[], object]] = [lambda: make_tokens(config), lambda: make_tls_context(config.tls)]
        if config.admin.listen:
            checks += [lambda: read_admin_token(config.admin), lambda: check_authority(config.admin)]
        for check in checks:
            try:
                check()
            except ConfigError as exc:
                complaints += exc.complaints
        store = look_at_store(config)
    if options.json:
        print(json.dumps({"complaints": complaints, "store": store}))
        return 1 if complaints or (store and store["fault"]) else 0
    for risk in (store or {}).get("risks", {}).values():
        print(f"{options.file}: journal.store_url: {risk}", file=sys.stderr)
    if store and store["fault"]:
        complaints.append(f"{options.file}: journal.store_url: {store['fault']}")
    if complaints:
        raise ConfigError(complaints)
    print(f"{options.file}: good")
    return 0


def _token(options: argparse.Namespace) -> int:
    from .app import make_tokens

    config = load(options.config)
    tokens = make_tokens(config)
    if not 1 <= options.ttl <= _LONGEST:
        print(f"--ttl must be 1 to {_LONGEST}", file=sys.stderr)
        return 2
    try:
        made = tokens.make(options.user, dict.fromkeys(options.project, options.right), options.ttl, options.name)
    except Exception as exc:  # a public key cannot sign: PyJWT and cryptography raise many kinds
        print(f"{config.token.keys[0]}: this key cannot sign tokens: {type(exc).__name__}", file=sys.stderr)
        return 1
    if len(made) > MAX_TOKEN:
        what = f"the token would have {len(made)} characters, and servers take {MAX_TOKEN}: name fewer projects"
        print(what, file=sys.stderr)
        return 1
    print(made)
    return 0


def _check_link(options: argparse.Namespace) -> int:
    from .app import make_tokens
    from .checking import PATH

    config = load(options.config)
    try:
        url = check_url(options.url) if options.url else find_url(config)
    except BadValue as exc:
        print(f"--url {exc}", file=sys.stderr)
        return 2
    if not url:
        print(f"{options.config}: server.name: is missing: give the address that users have, --url", file=sys.stderr)
        return 1
    if not 1 <= options.minutes <= CHECK_MINUTES:
        print(f"--minutes must be 1 to {CHECK_MINUTES}", file=sys.stderr)
        return 2
    tokens = make_tokens(config)
    try:
        token = tokens.make_check(url + config.server.path, 60 * options.minutes)
    except Exception as exc:  # as above
        print(f"{config.token.keys[0]}: this key cannot sign tokens: {type(exc).__name__}", file=sys.stderr)
        return 1
    print(f"{url}{PATH}#{token}")
    return 0


def _load_path(options: argparse.Namespace) -> str:
    """The embedded journal's file. Raises JournalError where the journal is on a store."""
    journal = load(options.config).journal
    if journal.store_url:
        raise JournalError(
            f"{options.config}: journal.store_url: this command is for the embedded journal; a store is looked after"
            " with the tools of PostgreSQL (pg_dump, pg_basebackup, VACUUM), its projects with export and import"
        )
    return journal.path


def _export(options: argparse.Namespace) -> int:
    config = load(options.config)
    if config.journal.store_url:
        from .app import make_store
        from .store_postgres import transfer

        lines = transfer.export_project(make_store(config), options.project)
    else:
        lines = export_import.export_project(config.journal.path, options.project)
    for line in lines:
        print(line)
    return 0


def _import(options: argparse.Namespace) -> int:
    config = load(options.config)
    lines, name = export_import.read_json_lines(open_input()), options.project or ""
    if config.journal.store_url:
        from .app import make_store
        from .store_postgres import transfer

        store = make_store(config)
        project, revision = transfer.import_project(store, lines, name=name, replace=options.replace)
    else:
        path = config.journal.path
        project, revision = export_import.import_project(path, lines, name=name, replace=options.replace)
    print(f"{project}: imported up to revision {revision}")
    return 0


def _move(options: argparse.Namespace) -> int:
    from .app import make_store
    from .moving import move

    path, new = _load_path(options), load(options.new)
    if not new.journal.store_url:
        raise JournalError(f"{options.new}: journal.store_url: is missing: projects are moved into a store")
    for project, revision, was_there in move(path, make_store(new), options.skip):
        print(f"{project}: {'is there' if was_there else 'moved'}, up to revision {revision}", flush=True)
    return 0


def _new_epoch(options: argparse.Namespace) -> int:
    path = _load_path(options)
    export_import.new_epoch(path)
    print(f"{path}: clients will start over")
    return 0


def _back_up(options: argparse.Namespace) -> int:
    path = _load_path(options)
    backup.back_up(path, options.target)
    print(f"{options.target}: a copy of {path}")
    return 0


def _list_projects(options: argparse.Namespace) -> int:
    config = load(options.config)
    found: Iterable[tuple[str, int, int, int]]
    if config.journal.store_url:
        from .app import make_store
        from .store_postgres import transfer

        found = transfer.list_projects(make_store(config))
    else:
        found = backup.list_projects(config.journal.path)
    for project in found:
        print(*project, sep="\t")
    return 0


def _delete_project(options: argparse.Namespace) -> int:
    backup.delete_project(_load_path(options), options.project)
    print(f"{options.project}: deleted")
    return 0


def _compact(options: argparse.Namespace) -> int:
    path = _load_path(options)
    before, after = backup.compact(path)
    print(f"{path}: {after} bytes, {before} before")
    return 0


def _repair(options: argparse.Namespace) -> int:
    lost, counts = repair(options.source, options.target)
    for loss in lost:
        print(f"{options.source}: {loss}", file=sys.stderr)
    counted = ", ".join([f"{number} {what}" for what, number in counts.items()])
    print(f"{options.target}: saved {counted}; " + ("see above for what is lost" if lost else "nothing is lost"))
    return 0


def _verify(options: argparse.Namespace) -> int:
    path = _load_path(options)
    wrong, counts = verify_journal(path)
    for complaint in wrong:
        print(f"{path}: {complaint}", file=sys.stderr)
    counted = ", ".join([f"{number} {what}" for what, number in counts.items()])
    print(f"{path}: {counted}: " + (f"{len(wrong)} faults" if wrong else "good"))
    return 1 if wrong else 0
