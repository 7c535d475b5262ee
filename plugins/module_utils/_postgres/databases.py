# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases of stores and their owners: what is there, and the statements that make it right. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, NamedTuple

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._postgres import hba, scram
from ansible_collections.collab.rtc.plugins.module_utils._postgres.psql import quote_name, quote_text

_MOST_BYTES = 63  # of a name (NAMEDATALEN)
_OF_SYSTEM = ("postgres", "template0", "template1")
_NO_OWNERS = ("postgres", "public", "none")  # the last two are words, no roles ("CREATE ROLE")
_POWERS = {
    "super": "is a superuser",
    "createrole": "may make roles",
    "createdb": "may make databases",
    "replication": "may replicate",
    "bypassrls": "passes row level security",
}

# Formatted with names of databases and roles, quoted.
_QUERY = """
WITH wanted AS (SELECT oid, datname, datdba FROM pg_catalog.pg_database WHERE datname IN ({names}))
SELECT pg_catalog.json_build_object(
 'version', pg_catalog.current_setting('server_version_num')::int / 10000,
 'standby', pg_catalog.pg_is_in_recovery(),
 'data', pg_catalog.current_setting('data_directory'),
 'hba', pg_catalog.current_setting('hba_file'),
 'config', pg_catalog.current_setting('config_file'),
 'loaded', pg_catalog.pg_conf_load_time(),
 'pid', pg_catalog.split_part(pg_catalog.pg_read_file('postmaster.pid'), E'\\n', 1)::int,
 'hba_errors', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('line', line_number, 'error', error, 'file',
     coalesce(pg_catalog.row_to_json(r) ->> 'file_name', pg_catalog.current_setting('hba_file'))))
   FROM pg_catalog.pg_hba_file_rules r WHERE error IS NOT NULL),  -- file_name: since PostgreSQL 16
 'settings', (SELECT pg_catalog.json_object_agg(name, pg_catalog.row_to_json(s)) FROM (SELECT name, setting, source,
   boot_val, context, pending_restart FROM pg_catalog.pg_settings
   WHERE name IN ('ssl', 'ssl_cert_file', 'ssl_key_file', 'listen_addresses')) s),
 'lines', (SELECT pg_catalog.json_agg(pg_catalog.row_to_json(f) ORDER BY f.seqno) FROM (SELECT f.*, s.context
   FROM pg_catalog.pg_file_settings f LEFT JOIN pg_catalog.pg_settings s USING (name)) f),
 'databases', (SELECT pg_catalog.json_object_agg(datname, pg_catalog.json_build_object(
   'owner', pg_catalog.pg_get_userbyid(datdba), 'encoding', pg_catalog.pg_encoding_to_char(encoding),
   'connects', datallowconn,
   'sessions', (SELECT count(*) FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid
     AND backend_type = 'client backend'),
   'public', (SELECT pg_catalog.json_agg(DISTINCT privilege_type) FROM pg_catalog.aclexplode(
     coalesce(datacl, pg_catalog.acldefault('d', datdba))) WHERE grantee = 0),
   'others', (SELECT pg_catalog.json_agg(DISTINCT pg_catalog.pg_get_userbyid(grantee)) FROM pg_catalog.aclexplode(
     datacl) WHERE grantee NOT IN (0, datdba))))
   FROM pg_catalog.pg_database d WHERE datname IN ({names})),
 'strangers', (SELECT pg_catalog.json_agg(datname ORDER BY datname) FROM pg_catalog.pg_database
   WHERE NOT datistemplate AND datname NOT IN ('postgres', {names})),
 'roles', (SELECT pg_catalog.json_object_agg(r.rolname, pg_catalog.json_build_object(
   'kept', r.rolpassword, 'login', r.rolcanlogin, 'super', r.rolsuper, 'createrole', r.rolcreaterole,
   'createdb', r.rolcreatedb, 'replication', r.rolreplication, 'bypassrls', r.rolbypassrls,
   'until', nullif(r.rolvaliduntil, 'infinity'),
   'groups', (SELECT pg_catalog.json_agg(pg_catalog.pg_get_userbyid(m.roleid))
     FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid),
   'members', (SELECT pg_catalog.json_agg(pg_catalog.pg_get_userbyid(m.member))
     FROM pg_catalog.pg_auth_members m WHERE m.roleid = r.oid),
   'elsewhere', (SELECT pg_catalog.json_agg(DISTINCT coalesce(d.datname, other.datname, 'the whole server'))
     FROM pg_catalog.pg_shdepend s
     LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid
     LEFT JOIN pg_catalog.pg_database other ON s.dbid = 0 AND s.classid = 'pg_catalog.pg_database'::regclass
       AND other.oid = s.objid
     WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.refobjid = r.oid
       AND NOT EXISTS (SELECT 1 FROM wanted w WHERE w.oid IN (d.oid, other.oid)))))
   FROM pg_catalog.pg_authid r WHERE r.rolname IN ({owners})));
"""


@dataclass(frozen=True)
class Database:
    """A store as the inventory has it."""

    name: str
    owner: str
    password: str
    clients: tuple[str, ...]


class Step(NamedTuple):
    """A statement, and what is said of it: no secret."""

    statement: str
    text: str


def check(items: list[Mapping[str, Any]]) -> list[Database]:
    """The databases of the inventory.

    :raises RtcError: one cannot be had, or two do not go together.
    """
    found: dict[str, Database] = {}
    passwords: dict[str, str] = {}
    for item in items:
        name, owner, password = item["name"], item.get("owner") or item["name"], item["password"]
        for what, text in (("name", name), ("owner", owner)):
            if not text.isprintable() or not text or len(text.encode()) > _MOST_BYTES or text[0] == "/":
                raise RtcError(f"rtc_store_databases: {text!r} is no usable {what}.")
        if name in _OF_SYSTEM or owner in _NO_OWNERS or owner.startswith("pg_"):
            raise RtcError(f"rtc_store_databases: {name} of {owner} is PostgreSQL's own.", "Use another name.")
        if name in found:
            raise RtcError(f"rtc_store_databases names {name} twice.", "Each site has a database of its own.")
        if not password or any(char in password for char in "\0\r\n"):
            raise RtcError(f"rtc_store_databases: {name} has no usable password.", "It is one line of text.")
        if passwords.setdefault(owner, password) != password:
            raise RtcError(f"rtc_store_databases: {owner} has two passwords.", "Use one, or another owner.")
        clients = tuple(dict.fromkeys(hba.check_client(client) for client in item["clients"]))
        if not clients:
            raise RtcError(f"rtc_store_databases: {name} has no clients.", "Give the addresses of its RTC nodes.")
        found[name] = Database(name, owner, password, clients)
    return list(found.values())


def make_query(databases: list[Database]) -> str:
    """What to ask the server for: as JSON, as the functions below take it."""
    names = ", ".join(quote_text(item.name) for item in databases) or "''"
    owners = ", ".join(quote_text(item.owner) for item in databases) or "''"
    return _QUERY.format(names=names, owners=owners)


def find_steps(databases: list[Database], found: Mapping[str, Any]) -> list[Step]:
    """The statements that are due, each once, owners first.

    :param found: what :func:`make_query` returned.
    :raises RtcError: a role or database of the name is somebody else's, or cannot be a store.
    """
    roles, there = found["roles"] or {}, found["databases"] or {}
    steps: dict[Step, None] = {}
    for item in databases:
        if item.owner in roles:
            _require_plain(item, roles[item.owner])
        if item.name in there:
            _require_fit(item, there[item.name])
    for owner, password in {item.owner: item.password for item in databases}.items():
        steps.update(dict.fromkeys(_find_role_steps(owner, password, roles.get(owner))))
    for item in databases:
        name = quote_name(item.name)
        known = there.get(item.name)
        if known is None:
            # Texts are compared by bytes: indexes outlive a new version of the system's locales.
            statement = f"CREATE DATABASE {name} OWNER {quote_name(item.owner)} ENCODING 'UTF8' TEMPLATE template0"
            statement += " LC_COLLATE 'C' LC_CTYPE 'C';"
            steps[Step(statement, f"CREATE DATABASE {name}, UTF8, owner {quote_name(item.owner)}")] = None
        if known is None or known["public"]:
            statement = f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;"
            steps[Step(statement, statement[:-1])] = None
    return list(steps)


def _find_role_steps(owner: str, password: str, role: Mapping[str, Any] | None) -> list[Step]:
    name = quote_name(owner)
    if role is None:
        statement = f"CREATE ROLE {name} LOGIN PASSWORD {quote_text(scram.make(password))};"
        return [Step(statement, f"CREATE ROLE {name} LOGIN, with its password (not shown)")]
    if scram.fits(password, role["kept"]):
        return []
    statement = f"ALTER ROLE {name} PASSWORD {quote_text(scram.make(password))};"
    how = " by SCRAM instead of MD5" if str(role["kept"] or "").startswith("md5") else ""
    return [Step(statement, f"ALTER ROLE {name}: another password{how} (not shown)")]


def _require_plain(item: Database, role: Mapping[str, Any]) -> None:
    """Only a role that has nothing but the store may get another password, and be let in from elsewhere."""
    powers = _list_powers(role)
    if powers:
        raise RtcError(
            f"The role {item.owner} exists, and is no owner of a store: it {', '.join(powers)}. It was left alone.",
            f"Choose another owner for {item.name} in rtc_store_databases and in rtc_store_url.",
        )


def _list_powers(role: Mapping[str, Any]) -> list[str]:
    """What a role has that no owner of a store has, in words."""
    powers = [words for name, words in _POWERS.items() if role[name]]
    if role["groups"]:
        powers.append(f"is a member of {', '.join(sorted(role['groups']))}")
    if not role["login"]:
        powers.append("may not log in")
    if role["until"]:
        powers.append(f"has a password that is good until {role['until']}")
    if role["elsewhere"]:
        powers.append(f"has rights or things in {', '.join(role['elsewhere'])}")
    return powers


def _require_fit(item: Database, known: Mapping[str, Any]) -> None:
    remedy = "Choose another name in rtc_store_databases and in rtc_store_url."
    if known["owner"] != item.owner:
        raise RtcError(
            f"The database {item.name} exists, and belongs to {known['owner']}. It was left alone.",
            f"{remedy} If it is to be the store: ALTER DATABASE {quote_name(item.name)} OWNER TO"
            f" {quote_name(item.owner)}.",
        )
    if known["encoding"] != "UTF8":
        raise RtcError(f"The database {item.name} exists, with encoding {known['encoding']}, not UTF8.", remedy)
    if not known["connects"]:
        raise RtcError(f"The database {item.name} lets nobody connect (ALLOW_CONNECTIONS false).", remedy)


def list_grants(databases: list[Database]) -> list[hba.Grant]:
    """Whom ``pg_hba.conf`` is to let in."""
    return [hba.Grant(item.name, item.owner, client) for item in databases for client in item.clients]


def find_drops(databases: list[Database], found: Mapping[str, Any]) -> list[Step]:
    """The statements that drop the stores, and owners that have and can do nothing else.

    :raises RtcError: a database of the name is somebody else's, or is used.
    """
    roles, there = found["roles"] or {}, found["databases"] or {}
    steps: list[Step] = []
    for item in databases:
        if item.name in there:
            _require_fit(item, there[item.name])
            used = there[item.name]["sessions"]
            if used:
                raise RtcError(
                    f"The database {item.name} is used, by {used} connections. It was left alone.",
                    "Stop the RTC servers that use it (rtc_state: absent), and whoever else is connected.",
                )
            statement = f"DROP DATABASE {quote_name(item.name)};"
            steps.append(Step(statement, statement[:-1]))
    for owner in dict.fromkeys(item.owner for item in databases):
        if owner in roles and not _list_powers(roles[owner]) and not roles[owner]["members"]:
            statement = f"DROP ROLE {quote_name(owner)};"
            steps.append(Step(statement, statement[:-1]))
    return steps
