# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the inventory asks for: the table of its variables, and reading them strictly.

:data:`VARIABLES` is the one place that says which variables exist; ``docs/variables.md`` is made from it. A variable
with the prefix ``rtc_`` that is not in the table is an error, because a typing mistake must never be a silent default.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import reaching
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.read_values import (
    READERS,
    Mute,
    Variable,
    explain_secret,
)

KINDS = ("confluence", "jira")
DEFAULT_PORTS = {"confluence": 9083, "jira": 9093}
PROTOCOLS = ("HTTP", "HTTP + SSL", "HTTPS")
MANAGED_PROXIES = ("nginx", "apache", "haproxy")
# Configured by this collection at AWS, or by hand: the plan has the text, or the exact values.
UNMANAGED_PROXIES = ("aws_alb", "f5", "azure_gateway", "kubernetes", "traefik", "other")
NO_PROXY = "none"

PREFIX = "rtc_"
# Names that playbooks and roles of this collection set themselves. A role's own variables are named after the role.
INTERNAL = frozenset(
    {
        *("rtc_detected", "rtc_plan", "rtc_run_id", "rtc_undo_site", "rtc_probe", "rtc_session", "rtc_release"),
        "rtc_bundle_built",
        *("rtc_work", "rtc_failed", "rtc_runs"),  # facts and variables of the playbooks
        # The role rtc_server's own variables and what it registers, by name: a prefix would let rtc_server_nmae pass.
        *("rtc_server_plan", "rtc_server_secret", "rtc_server_bundle", "rtc_server_instances"),
        *("rtc_server_store_password", "rtc_server_panel_token"),
        *("rtc_server_tls_instances", "rtc_server_released", "rtc_server_directory", "rtc_server_key_directories"),
        *("rtc_server_keys", "rtc_server_instances_run"),
        # Likewise of the role rtc_store, whose variables a group of all hosts may have.
        *("rtc_store_databases", "rtc_store_certificate", "rtc_store_key", "rtc_store_listen", "rtc_store_restart"),
        *("rtc_store_state", "rtc_store_drop", "rtc_store_install", "rtc_store_port"),
        *("rtc_store_system", "rtc_store_installed", "rtc_store_cluster", "rtc_store_running", "rtc_store_made"),
        *("rtc_store_packages", "rtc_store_first_cluster", "rtc_store_family", "rtc_store_major"),
    }
)


@dataclass
class HostSettings:
    """The variables of one application on one host, checked. Secrets are left out: only roles read them."""

    server_name: str = ""
    port: int = 0
    proxy: str = ""
    proxy_kind: str = ""
    protocol: str = ""
    service: str = "auto"
    application_port: int = 0
    connector_port: int = 0
    install_dir: str = ""
    manage_application_vhost: bool = False
    listen: list[str] = field(default_factory=list)
    tls_certificate: str = ""
    tls_key: str = ""
    tls_ca: str = ""
    tls_fetch: bool = False
    upstream_ca: str = ""
    upstream_name: str = ""
    aws_load_balancer: str = ""
    aws_target: str = ""
    aws_certificate: str = ""
    aws_tls_policy: str = ""
    aws_deregistration_delay: int = 30
    aws_peered: bool = False
    aws_region: str = ""
    aws_profile: str = ""
    aws_role_arn: str = ""
    aws_endpoint_url: str = ""
    store_url: str = ""
    store_ca: str = ""
    panel: bool = False
    panel_port: int = 0
    panel_from: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)  # fields of secrets that are set; what they hold is not read
    origins: list[str] = field(default_factory=list)
    server_python: str = ""
    server_version: str = ""
    limits: dict[str, float] = field(default_factory=dict)
    users: int = 0
    truststore_path: str = ""
    application_service: str = ""
    application_restart: list[str] = field(default_factory=list)
    restart_application: str = "when_needed"
    ignore_findings: list[Mute] = field(default_factory=list)
    textfile_directory: str = ""
    plan_file: str = ""
    backup: bool = False
    max_failures: int = 0
    rollback_on_failure: bool = True
    state: str = "present"
    conflicts: str = "stop"
    remove_orphans: bool = False
    inventory_id: str = ""
    from_plan: str = ""


@dataclass(frozen=True)
class Problem:
    """A variable that cannot be used: becomes a finding of that id."""

    id: str
    variable: str
    message: str
    remedy: str
    where: str = ""  # FILE:LINE, where that is known


def _var(
    name: str, kind: str, default: str, description: str, choices: tuple[str, ...] = (), read: bool = True
) -> Variable:
    return Variable(PREFIX + name, kind, description, name if read else "", default, choices)


VARIABLES: tuple[Variable, ...] = (
    _var("server_name", "name", "proxyName of server.xml, else the host's full name",
         "The name in the address that users type. RTC has the same name."),
    _var("port", "port", "the port that RTC has there; else 9083 beside Confluence, 9093 beside Jira",
         "The RTC port, the same number at the proxy and at the service. Between 1025 and 65535."),
    _var("proxy", "name", "what is detected",
         "Inventory name of the host that the reverse proxy runs on; the application's own name for a proxy on the same"
         " host; V(none) for no proxy."),
    _var("proxy_kind", "choice", "what is detected, nginx where there is none yet",
         "The proxy server. V(aws_alb) is configured where O(rtc_aws_load_balancer) names the load balancer. Without"
         " that, it and the others that follow are not: the plan says what to set there.",
         (*MANAGED_PROXIES, *UNMANAGED_PROXIES)),
    _var("protocol", "choice", "what is detected",
         "What the RTC panel has to show. It is compared with what the plan leads to; a difference stops the"
         " run. Of a proxy that is not seen it is believed, where nothing says otherwise.", PROTOCOLS),
    _var("service", "choice", "auto",
         "V(deployed) is the server of this collection, V(builtin) the add-on's own inside the application; V(auto)"
         " takes"
         " the add-on's own where it already listens on the RTC port.", ("auto", "deployed", "builtin")),
    _var("application_port", "anyport", "443 with TLS, 80 without, or what is detected",
         "The port in the address that users type for the application itself."),
    _var("connector_port", "anyport", "the connector that the proxy forwards to, else the one that users arrive at",
         "Port of the Tomcat connector to use where C(server.xml) has several."),
    _var("install_dir", "path", "the only, or the running, installation",
         "Installation directory of the application where a host has several of one kind, or where others than root may"
         " write a directory above it and no unit starts it (RTC008). In a container it begins with its name:"
         " V(wiki:/opt/atlassian/confluence)."),
    _var("manage_application_vhost", "bool", "false",
         "Also write the application's own virtual host on the proxy, with Confluence's Synchrony."),
    _var("listen", "addresses", "the addresses of the server name on the proxy host, or all",
         "Addresses of the proxy host that the RTC virtual host listens on."),
    _var("tls_certificate", "pem", "the certificate of the application's own virtual host",
         "Certificate for the proxy with its intermediate certificates: a file on the controller, or PEM text."),
    _var("tls_key", "pem", "the key of the application's own virtual host",
         "Private key of the certificate, without a pass phrase: a file on the controller, or PEM text."),
    _var("tls_ca", "pem", "the highest certificate of the chain",
         "Certificate of the authority that the application's Java has to trust: a file on the controller, or PEM"
         " text."),
    _var("tls_fetch", "bool", "false",
         "Take the authority to trust from the running server where O(rtc_tls_ca) is not given. Trusts what answers"
         " now."),
    _var("upstream_ca", "pem", "the authorities of the proxy's system",
         "Authority of Tomcat's own certificate, where a proxy encrypts again: a file on the controller, or PEM text."),
    _var("upstream_name", "name", "the server name",
         "The name in Tomcat's own certificate, where a proxy encrypts again."),
    _var("aws_load_balancer", "text", "none: the plan says what to set there",
         "Name or ARN of the Application Load Balancer in front of the site, with O(rtc_proxy_kind=aws_alb). Its"
         " listener for RTC is made, changed and taken away; the load balancer and what others made stay as they are."
         " See C(docs/aws.md)."),
    _var("aws_target", "text", "the address by which a proxy reaches the host",
         "What the load balancer sends requests for this host to: its EC2 instance, V(i-0123456789abcdef0), or an IP"
         " address."),
    _var("aws_certificate", "text", "the one of the application's own listener that is for the server name",
         "ARN of a certificate of ACM or IAM for the listener."),
    _var("aws_tls_policy", "text", "that of the application's own listener",
         "TLS policy of the listener, such as V(ELBSecurityPolicy-TLS13-1-2-2021-06)."),
    _var("aws_deregistration_delay", "number", "30",
         "Seconds that open requests have when a host is taken away from the load balancer."),
    _var("aws_peered", "bool", "false",
         "The addresses of the hosts are outside of the load balancer's VPC, which reaches them by peering or VPN."),
    _var("aws_region", "text", "what C(AWS_REGION), C(AWS_DEFAULT_REGION) or C(~/.aws/config) say",
         "Region of the load balancer."),
    _var("aws_profile", "text", "what boto3 finds by itself", "Profile of C(~/.aws) on the controller."),
    _var("aws_role_arn", "text", "none", "ARN of a role that the controller assumes with its credentials."),
    _var("aws_endpoint_url", "text", "AWS's own", "Address to ask in place of AWS's own."),
    _var("aws_access_key", "secret", "what boto3 finds by itself", "Id of an access key.", read=False),
    _var("aws_secret_key", "secret", "what boto3 finds by itself", "The secret of the access key.", read=False),
    _var("aws_session_token", "secret", "none", "The session token of a temporary access key.", read=False),
    _var("store_url", "store_url", "none: SQLite on each node, of which one is active",
         "A database of PostgreSQL 13 or newer that all RTC nodes of the site share, and all are active:"
         " V(postgresql://rtc@db1.example.com,db2.example.com/rtc). It belongs to that user. Of several hosts the one"
         " that takes writes is used. A run moves into it what an RTC server has in a journal of its own. See"
         " C(docs/scaling.md)."),
    _var("store_ca", "pem", "the authorities of the host's system",
         "Authority of the store's certificate: a file on the controller, or PEM text. Connections to other machines"
         " are always encrypted, and the certificate must have the name in O(rtc_store_url)."),
    _var("store_password", "secret", "none", "Password of the store's user. It is needed with O(rtc_store_url).",
         read=False),
    _var("panel", "bool", "false",
         "Whether administrators can look at the running RTC server with a browser, and restart or drain it: at a"
         " socket that only root may open, by SSH. See C(docs/panel.md)."),
    _var("panel_port", "port", "none: the socket C(/run/rtc-server/<application>/admin.sock)",
         "Port of 127.0.0.1 on the RTC node for O(rtc_panel) instead of the socket, where people do not come as root."
         " Every user of the host can connect; nobody gets in without the token."),
    _var("panel_from", "networks", "none: by SSH only",
         "Networks whose clients may use the panel through the proxy, at C(/panel/) of the RTC port, such as"
         " V([10.1.2.0/24]). The proxy has to be on the RTC node's own host and to end TLS, and O(rtc_panel_port) to be"
         " set."),
    _var("panel_token", "secret", "made on the first run and kept in C(/etc/rtc-server/<application>/admin-token)",
         "What administrators log in with, 32 characters or more.", read=False),
    _var("origins", "origins", "the application's own address",
         "Origins of web pages that may connect to RTC, such as V(https://wiki.example.com)."),
    _var("limits", "limits", "those of the RTC server",
         "Limits of the RTC server: a dictionary of names and numbers as in the section C(limits) of its configuration"
         " (C(files/rtc_server/config.example.toml)), such as C({connections: 2000, project_bytes: 500000000}). Memory"
         " and descriptors of its unit follow from them."),
    _var("users", "number", "none: the report says how many the proxy carries",
         "How many people use the site at the same time. Each keeps a connection to RTC open: RTC440 warns where the"
         " proxy cannot carry these and the application."),
    _var("server_version", "text", "that of the bundle, or of the collection",
         "Which release of the RTC server runs on the host: a version, or the whole name of a release that the host"
         " keeps in C(/opt/rtc-server/releases). A kept one is not sent again."),
    _var("server_python", "path", "the newest interpreter found that is 3.10 or later",
         "Python interpreter on the host that the RTC server runs on."),
    _var("truststore_path", "path", "the trust store that the application uses",
         "Keep the trusted authorities in this trust store of their own instead, so that an upgrade of Java does not"
         " lose them."
         " It is named to the JVM in the application's C(bin/setenv.sh)."),
    _var("application_service", "service", "what starts it, as units and SysV scripts show",
         "The systemd unit, or SysV script, that starts the application: V(jira), V(jira@main.service)."
         " Needed where none leads to the installation, such as with a supervisor (RTC229)."),
    _var("application_restart", "command", "its service is restarted",
         "The command, as a list of its arguments, that restarts the application where no service does:"
         " C([supervisorctl, restart, jira]). It runs as root, without a shell, and has to wait until the old process"
         " is gone. A rollback runs it, too."),
    _var("restart_application", "choice", "when_needed",
         "Whether the run restarts the application where its settings changed. V(never): reports say what is left.",
         ("when_needed", "never")),
    _var("state", "choice", "present",
         "V(absent) takes away all that this collection made for the application, on its proxy, too. Attributes of"
         " C(server.xml) get back what they were before the first run.", ("present", "absent")),
    _var("conflicts", "choice", "stop",
         "What to do where somebody changed something that a run made, and that this run would change again. V(stop)"
         " leaves the whole site alone and shows the difference; V(overwrite) goes on, and the undo record keeps a"
         " copy.", ("stop", "overwrite")),
    _var("remove_orphans", "bool", "false",
         "Take away what the record of the host names and no host of the inventory wants any more. The report lists it"
         " otherwise."),
    _var("inventory_id", "text", "name of the inventory, such as C(production/hosts.yml)",
         "Which inventory this is, for the records of hosts that several inventories share, such as a proxy. What"
         " another inventory made is left alone."),
    _var("ignore_findings", "mutes", "none", "Findings to mute on this host: a list of C({id, reason})."),
    _var("verify_address", "name", "what the server name resolves to",
         "Address that the controller connects to for the checks when it cannot resolve the server name. This and the"
         " next two may use C(verify_site), the site that is checked: see the role C(verify).", read=False),
    _var("verify_request_url", "text", "none",
         "Path, below the base URL, of a page of the application that tells how a request looks to it, for the"
         " checks.", read=False),
    _var("verify_fetch_url", "text", "none",
         "Path, below the base URL, of a page of the application that fetches a URL with its own Java, for the"
         " checks.", read=False),
    _var("check_link", "bool", "false",
         "Show in the report, and its file, a link to the check page of each site, with which a user's browser can try"
         " the way to RTC. It lets in for an hour, to nothing but the check. Without this the report says how to get"
         " one.", read=False),
    _var("textfile_directory", "path", "none",
         "Leave the results of each verification in this directory of the application's host, as"
         " C(collab-rtc-confluence.prom) for the textfile collector of Prometheus' node_exporter. See"
         " C(docs/monitoring.md)."),
    _var("plan_file", "path", "none", "Write the plan as JSON to this file on the controller."),
    _var("from_plan", "path", "none",
         "Carry out the plan that O(rtc_plan_file) kept, and nothing else: the run is refused where what is to be done,"
         " the record, the files or the ports concerned are not as they were then (RTC112)."),
    _var("backup", "bool", "false", "Keep a copy beside each file that is changed."),
    _var("undo_keep", "number", "20",
         "How many undo records stay on a host, the newest ones; V(0): all. A record that is the first for one of its"
         " files always stays, and so does a release of the RTC server that a record names.", read=False),
    _var("undo_days", "number", "400", "After how many days an undo record goes even so; V(0): never.", read=False),
    _var("secret", "secret", "made on the first run and kept", "Key that RTC tokens are signed with.", read=False),
    _var("truststore_password", "secret", "changeit",
         "Password of the trust store. The plan cannot try it (what looks at the host never gets it); a wrong one is"
         " refused before anything is changed.", read=False),
    _var("bundle", "path", "the release is built on the controller when it is needed",
         "A bundle of the RTC server, for controllers without a package index; and, for the playbook C(bundle), the"
         " file that it writes (V(rtc-server.tar)).", read=False),
    _var("bundle_pythons", "text", "3.10 to 3.14",
         "For the playbook C(bundle): versions of Python, with commas between.", read=False),
    _var("bundle_machines", "text", "x86_64 and aarch64", "For the playbook C(bundle): machines, with commas between.",
         read=False),
    _var("report_file", "path", "none", "Write the report as JSON to this file on the controller.", read=False),
    _var("serial", "batches", "1", "How many hosts of the application are changed at a time; V(0): all at once.",
         read=False),
    _var("max_failures", "number", "none: a failed site does not stop the others",
         "After so many failed sites, no further one is begun. V(1): the first failure stops everything."),
    _var("rollback_on_failure", "bool", "true",
         "A site that fails its checks after a run has changed something for it gets back what it had, on all its"
         " hosts, and is checked again. V(false) leaves it as it is."),
    _var("confirm", "bool", "false",
         "C(site) and C(uninstall) show the plan and ask at the terminal before they change anything. Without a"
         " terminal they change nothing and fail.", read=False),
    _var("fail_on_changes", "bool", "false",
         "C(plan), and C(site --check), try every change without making it, list those that would be made, and fail"
         " where there is one.", read=False),
)  # fmt: skip

_BY_NAME = {variable.name: variable for variable in VARIABLES}
_SQUEEZED = {name.replace("_", ""): name for name in _BY_NAME}
SECRETS = ("secret", "store_password", "truststore_password")  # those of which it matters whether they are set
UNREAD = frozenset(variable.name for variable in VARIABLES if variable.type == "secret")  # only roles read them
_OF_SERVERS = (f"{PREFIX}server_", f"{PREFIX}bundle")
# The role verify evaluates these for each site, with this variable of its own.
OF_CHECKED_SITE = frozenset(PREFIX + name for name in ("verify_address", "verify_request_url", "verify_fetch_url"))
CHECKED_SITE = "verify_site"
# They mean something for the host of a proxy, or for the whole run: one that cannot be evaluated matters there, too.
OF_EVERY_HOST = frozenset(
    {
        *(PREFIX + name for name in ("listen", "proxy_kind", "ignore_findings", "backup")),
        *(variable.name for variable in VARIABLES if variable.once and not variable.name.startswith(_OF_SERVERS)),
    }
)


def parse(variables: Mapping[str, Any], kind: str) -> tuple[HostSettings, list[Problem]]:
    """The settings for the application ``kind`` of one host, with everything that is wrong in them.

    A value may be a dictionary with the keys ``confluence`` and ``jira`` where a host carries both applications.
    """
    settings, problems = HostSettings(), find_unknown(variables)
    settings.given = [name for name in SECRETS if _is_given(variables, PREFIX + name, kind)]
    for variable in VARIABLES:
        wrong = _check_shape(variable, variables.get(variable.name))
        if wrong:
            problems.append(_make_problem(variable, wrong))
        if wrong or variable.name in UNREAD:
            continue
        value = pick_kind(variables.get(variable.name), kind)
        # An empty plan is that of a script whose variable is not set: without one, a run does all that is wanted.
        if value is None or (value == "" and variable.field != "from_plan"):
            continue
        try:
            read = READERS[variable.type](value, variable)
        except ValueError as error:
            problems.append(_make_problem(variable, str(error)))
            continue
        if variable.field:  # what playbooks and roles read is only checked here
            setattr(settings, variable.field, read)
    return settings, problems


def _is_given(variables: Mapping[str, Any], name: str, kind: str) -> bool:
    value = variables.get(name)
    return name in variables and (not isinstance(value, Mapping) or kind in value)


def _check_shape(variable: Variable, value: Any) -> str:
    """What is wrong with the keys of a value for each application; "" for nothing. Values are not looked at."""
    if not isinstance(value, Mapping) or (variable.type == "limits" and not set(value) & set(KINDS)):
        return ""
    if variable.once:
        return "one value is expected, not one for each application; it is for the host or the whole run."
    wrong = sorted(set(map(str, value)) - set(KINDS))
    if wrong or not value:
        names = "another key" if variable.type == "secret" else ", ".join(wrong) or "nothing"
        return f"a value, or one for each of confluence and jira, is expected; {names} is given."
    return ""


def check_secret(name: str, value: Any) -> list[Problem]:
    """What is wrong with a secret before it is evaluated: a list or a truth value would be written as one."""
    wrong = explain_secret(value)
    return [_make_problem(_BY_NAME[name], wrong)] if wrong else []


_UNDEFINED = re.compile(r"'[^']{1,80}' is undefined")


def explain_unreadable(name: str, error: str) -> Problem:
    """A problem with a secret that cannot be evaluated. Of the error only what has no secret in it is repeated.

    A run would not notice: for a secret whose variable is not there, roles take what they take without one.
    """
    remedy = reaching.find_remedy(error)
    if remedy == reaching.VAULT:
        return Problem("RTC102", name, f"{name} cannot be decrypted: {error}", remedy)
    found = _UNDEFINED.search(error)
    text = f"{name} cannot be evaluated: {found[0] if found else 'its template fails'}."
    return Problem("RTC102", name, text, "Correct the variable in the inventory.")


def is_common(variables: Mapping[str, Any], name: str) -> bool:
    """Whether a variable is set once for both applications of a host."""
    value = variables.get(PREFIX + name)
    return value not in (None, "") and not is_per_kind(value)


def is_usable(name: str, value: Any) -> bool:
    """Whether a variable of the table has a value, one for all applications, that its reader takes."""
    variable = _BY_NAME[name]
    if value in (None, "") or _check_shape(variable, value):
        return False
    try:
        READERS[variable.type](value, variable)
    except ValueError:
        return False
    return True


def find_unknown(variables: Mapping[str, Any]) -> list[Problem]:
    """Every variable with the prefix of this collection that nothing reads."""
    return [problem for name in sorted(variables) for problem in _check_name(name)]


def explain_outside(names: Iterable[str]) -> list[Problem]:
    """Variables of this collection that a play, a role or a task sets, so that only a part of it sees them."""
    found = []
    for name in names:
        text = f"{name} is set by the playbook (vars of a play, of import_playbook, of a role or of a task)."
        if is_ours(name) and name not in INTERNAL:
            found += _check_name(name) or [Problem("RTC113", name, text, "")]
    return found


def _check_name(name: str) -> list[Problem]:
    if name in _BY_NAME or name in INTERNAL:
        return []
    if not name.startswith(PREFIX):
        meant = _find_meant(name)
        near = [meant] if meant else []
    else:
        near = difflib.get_close_matches(name, _BY_NAME, n=1, cutoff=0.6)
    if not near and not name.startswith(PREFIX):
        return []
    hint = f"Did you mean {near[0]}?" if near else "docs/variables.md lists the variables that exist."
    return [Problem("RTC101", name, f"The variable {name} is not one of this collection; nothing reads it.", hint)]


def is_ours(name: str) -> bool:
    """Whether a variable is, or is meant to be, one of this collection."""
    return name.startswith(PREFIX) or bool(_find_meant(name))


def _find_meant(name: str) -> str:
    """The variable that a name means whose prefix is misspelt: RTC_port, rct_port, rtcPort; "" for none."""
    squeezed = re.sub(r"[^a-z0-9]", "", name.lower())
    if sorted(squeezed[:3]) != sorted(PREFIX[:3]):
        return ""
    return _SQUEEZED.get(PREFIX[:3] + squeezed[3:], "")


def _make_problem(variable: Variable, text: str) -> Problem:
    number = "RTC103" if variable.type == "port" and "between" in text else "RTC102"
    return Problem(number, variable.name, f"{variable.name}: {text}", "Correct the variable in the inventory.")


def is_per_kind(value: Any) -> bool:
    """Whether a value is a dictionary of one for each application."""
    return isinstance(value, Mapping) and bool(value) and set(value) <= set(KINDS)


def pick_kind(value: Any, kind: str) -> Any:
    """The value for the application ``kind``; ``None`` where a dictionary for each application has none for it."""
    return value.get(kind) if is_per_kind(value) else value


def choose_setting(value: Any, application: str = "", default: Any = "") -> Any:
    """The value of a variable for an application, as roles need it; ``default`` where there is none.

    :param application: "" for what belongs to all applications of a host: the first value that is neither empty nor
        false counts.
    """
    if application or not is_per_kind(value):
        found = pick_kind(value, application)
    else:
        found = next((item for item in value.values() if str(item).lower() not in ("", "none", "false", "no")), "")
    return default if found is None or found == "" else found
