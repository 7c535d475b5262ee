# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what is written for each topology, and that a converged host plans to what it is."""

from __future__ import annotations

import json

import pytest

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.tls_files import GivenTls
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import schema
from ansible_collections.collab.rtc.plugins.plugin_utils._report import text as report_text


def plan_of(plan_input, host="wiki1"):
    return make_plan(plan_input).hosts[host]


def test_t6_from_a_pristine_host(base):
    plan = plan_of(base("pristine"))

    (connector,) = plan.connectors
    assert connector.attributes == {
        "address": "127.0.0.1",
        "proxyName": "wiki.example.com",
        "proxyPort": "443",
        "scheme": "https",
        "secure": "true",
    }
    assert (connector.path, connector.connector_port) == ("/opt/atlassian/confluence/conf/server.xml", 8090)
    (trust,) = plan.trust
    assert trust.path == "/opt/atlassian/confluence/jre/lib/security/cacerts"
    assert trust.certificates[0]["pem"].startswith("-----BEGIN CERTIFICATE-----\nroot")
    rtc, application = plan.vhosts
    assert (rtc.role, rtc.kind, rtc.listen, rtc.port) == ("rtc", "nginx", ["10.0.0.11"], 9083)
    assert rtc.upstreams == [{"scheme": "http", "host": "127.0.0.1", "port": 9083, "backup": False}]
    assert (rtc.certificate, rtc.key) == (
        "/etc/rtc-proxy/wiki.example.com/fullchain.pem",
        "/etc/rtc-proxy/wiki.example.com/privkey.pem",
    )
    assert (application.role, application.listen, application.port) == ("application", ["*"], 443)
    assert (application.context_path, application.synchrony) == ("", "127.0.0.1:8091")
    (service,) = plan.rtc
    assert (service.instance, service.service, service.address, service.port) == (
        "confluence",
        "deployed",
        "127.0.0.1",
        9083,
    )
    assert service.origins == ["https://wiki.example.com"]
    assert (service.python, service.python_version) == ("/usr/bin/python3", "3.11")
    assert service.config["server"]["trusted_proxies"] == ["127.0.0.1", "::1"]
    assert plan.packages == ["nginx"]
    assert plan.certificates == [
        {"src": "/pki/wiki.pem", "dest": rtc.certificate, "mode": "0644", "holds": "certificate"},
        {"src": "/pki/wiki.key", "dest": rtc.key, "mode": "0600", "holds": "private_key"},
    ]
    assert plan.restarts[0].reasons == []


def test_a_converged_host_plans_to_what_it_is(base):
    """The same settings: first on the untouched host, then on the host as the run left it."""
    settings = base("pristine")
    first = _facts.to_dict(plan_of(settings))
    settings.facts = base("same_host").facts
    second = _facts.to_dict(plan_of(settings))

    assert first.pop("packages") == ["nginx"]
    assert second.pop("packages") == []
    for part in (first, second):  # what is done about it, and noted of it, differs
        del part["work"], part["records"]
    assert second == first


def test_a_case_plans_the_same_twice_and_survives_json(case, plan_input_of):
    first = make_plan(plan_input_of(case["data"]))
    data = json.loads(json.dumps(_facts.to_dict(first)))
    assert data == _facts.to_dict(make_plan(plan_input_of(case["data"])))
    assert _facts.from_dict(schema.Plan, data) == first
    text = report_text.render_plan(first)
    assert all(site.name in text for site in first.sites)
    for host in first.hosts.values():
        names = [vhost.name for vhost in host.vhosts]
        assert len(names) == len(set(names))
    assert all(item.id in text for item in first.findings)


def test_t1_rtc_listens_where_tomcat_listens(base):
    plan = plan_of(base("direct"))
    assert plan.rtc[0].address == "0.0.0.0"
    assert plan.rtc[0].origins == ["http://wiki.example.com:8090"]
    assert (plan.connectors, plan.trust, plan.vhosts, plan.certificates, plan.packages) == ([], [], [], [], [])

    plan = plan_of(base("direct", set={"facts.wiki1.applications.0.server_xml.connectors.0.address": "10.0.0.11"}))
    assert plan.rtc[0].address == "10.0.0.11"


def test_t1_removes_an_empty_proxy_name_and_nothing_else(base):
    plan_input = base(
        "direct", set={"facts.wiki1.applications.0.server_xml.connectors.0.attributes": {"proxyName": ""}}
    )
    assert plan_of(plan_input).connectors[0].attributes == {"proxyName": None}


def test_t5_work_is_on_the_host_that_it_belongs_to(base):
    plan_input = base("remote")
    jira, proxy = plan_of(plan_input, "jira1"), plan_of(plan_input, "proxy1")
    assert jira.connectors[0].attributes == {
        "proxyName": "jira.example.com",
        "proxyPort": "443",
        "scheme": "https",
        "secure": "true",
    }
    assert (jira.vhosts, proxy.rtc, proxy.connectors, proxy.trust) == ([], [], [], [])
    (vhost,) = proxy.vhosts
    assert (vhost.kind, vhost.listen, vhost.port) == ("apache", ["*"], 9093)
    assert vhost.upstreams == [{"scheme": "http", "host": "10.0.0.21", "port": 9093, "backup": False}]
    assert (vhost.certificate, vhost.key) == ("/etc/ssl/certs/wiki.pem", "/etc/ssl/private/wiki.key")
    assert jira.rtc[0].trusted_proxies == ["10.0.0.9"]
    assert jira.rtc[0].address == "0.0.0.0"
    assert proxy.packages == []


def test_t2_connector_has_no_https(base):
    plan = plan_of(
        base(
            "plain_remote",
            set={
                "facts.wiki1.applications.0.server_xml.connectors.0.scheme": "https",
                "facts.wiki1.applications.0.server_xml.connectors.0.secure": True,
                "facts.proxy1.proxies.0.hosts.0.listens.0.tls": False,
                "vars.wiki1.rtc_proxy": "proxy1",
            },
        )
    )
    # scheme says https: that is a fact for TLS before the proxy. The proxy that is named cannot give it.
    assert plan.connectors[0].attributes["scheme"] == "https"
    plan = plan_of(base("plain_remote", set={"facts.wiki1.applications.0.server_xml.connectors.0.secure": True}))
    assert plan.connectors[0].attributes == {"proxyName": "wiki.example.com", "proxyPort": "80", "secure": None}


def test_t4_failover_without_a_store_and_all_active_with_one(base):
    (vhost,) = plan_of(base("cluster"), "proxy1").vhosts
    assert [(item["host"], item["backup"]) for item in vhost.upstreams] == [("10.0.0.11", False), ("10.0.0.12", True)]

    url = "postgresql://rtc@s/rtc"
    store = {"vars.wiki1.rtc_store_url": url, "vars.wiki2.rtc_store_url": url}
    (vhost,) = plan_of(base("cluster", set=store), "proxy1").vhosts
    assert [item["backup"] for item in vhost.upstreams] == [False, False]
    (service,) = plan_of(base("cluster", set=store), "wiki2").rtc
    password = "$CREDENTIALS_DIRECTORY/store-password"
    assert service.config["journal"] == {"store_url": url, "store_password": password}
    plan_input = base("cluster", set=store)
    plan_input.tls["wiki2"] = {"confluence": GivenTls(store_ca="PEM")}
    (service,) = plan_of(plan_input, "wiki2").rtc
    assert service.store_ca == "PEM"
    assert service.config["journal"]["store_ca"] == "$CREDENTIALS_DIRECTORY/store-ca.pem"


def test_nodes_that_are_all_active_have_labels_and_keep_them(base):
    url = "postgresql://rtc@s/rtc"
    store = {"vars.wiki1.rtc_store_url": url, "vars.wiki2.rtc_store_url": url}
    active = {host: plan_of(base("cluster", set=store), host).rtc[0].config["server"] for host in ("wiki1", "wiki2")}
    assert {host: server["label"] for host, server in active.items()} == {"wiki1": "84a0076d", "wiki2": "65bcb7b8"}
    alone = plan_of(base("remote", set={"vars.jira1.rtc_store_url": url}), "jira1").rtc[0].config["server"]
    assert len(alone["label"]) == 8, "when another node comes, this one must not be started again"
    assert all("label" not in plan_of(base("cluster"), host).rtc[0].config["server"] for host in ("wiki1", "wiki2"))


def test_a_panel_where_it_is_asked_for_and_nowhere_else(base):
    assert "admin" not in plan_of(base("remote"), "jira1").rtc[0].config
    assert "admin" not in plan_of(base("remote", set={"vars.jira1.rtc_panel_port": 9990}), "jira1").rtc[0].config
    plan_input = base("remote", set={"vars.jira1.rtc_panel": True})
    plan_input.tls["jira1"] = {"jira": GivenTls(root_pem="PEM")}
    (service,) = plan_of(plan_input, "jira1").rtc
    assert service.panel_ca == "PEM"
    assert service.config["admin"] == {
        "listen": "$RUNTIME_DIRECTORY/admin.sock",
        "token": "$CREDENTIALS_DIRECTORY/admin-token",
        "url": f"https://{service.server_name}:{service.port}",
        "ca": "$CREDENTIALS_DIRECTORY/admin-ca.pem",
    }
    (service,) = plan_of(
        base("remote", set={"vars.jira1.rtc_panel": True, "vars.jira1.rtc_panel_port": 9990}), "jira1"
    ).rtc
    assert service.config["admin"]["listen"] == "127.0.0.1:9990"


def test_the_proxy_leads_to_the_panel_where_networks_are_named_and_nowhere_else(base):
    wanted = {"vars.wiki1.rtc_panel": True, "vars.wiki1.rtc_panel_port": 9990}
    plan = plan_of(base("same_host", set=wanted), "wiki1")
    assert "front" not in plan.rtc[0].config["admin"] and not plan.vhosts[0].panel_port
    plan = plan_of(base("same_host", set={**wanted, "vars.wiki1.rtc_panel_from": "10.1.2.0/24, fd00::1"}), "wiki1")
    assert plan.rtc[0].config["admin"]["front"] == plan.rtc[0].config["admin"]["url"]
    assert (plan.vhosts[0].panel_port, plan.vhosts[0].panel_from) == (9990, ["10.1.2.0/24", "fd00::1/128"])


def test_t4_both_nodes_get_everything(base):
    plan_input = base("cluster")
    for host in ("wiki1", "wiki2"):
        plan = plan_of(plan_input, host)
        assert plan.rtc[0].instance == "confluence"
        assert plan.connectors[0].attributes["proxyName"] == "wiki.example.com"


def test_t8_takes_the_key_from_server_xml_and_leaves_it(base):
    plan = plan_of(base("tomcat_tls"))
    assert plan.rtc[0].tls_from == "/opt/atlassian/confluence/conf/server.xml"
    assert plan.connectors == []
    assert plan.restarts[0].scheme == "https"
    assert plan.trust[0].certificates == [{"pem": "pem"}]


def test_values_of_placeholders_go_with_the_plan_and_places_of_secrets(base):
    place = {"name": "store.word", "file": "/opt/setenv.sh", "line": 3, "before": "-Dstore.word="}
    xml = "facts.wiki1.applications.0.server_xml"
    given = {"user.home": "/home/wiki", "web.port": "8443"}
    changes = {f"{xml}.properties": given, f"{xml}.secrets": [{**place, "key": True}, {"name": "realm.word"}]}
    (service,) = plan_of(base("tomcat_tls", set=changes)).rtc
    assert (service.properties, service.property_sources) == (given, [place])


@pytest.mark.parametrize(("port", "why"), [(80, "nothing listens on proxyPort 80"), (0, "the port is Tomcat's own")])
def test_what_is_said_without_a_proxy_holds(base, port, why):
    """server.xml does name a proxy; and the plan leaves ``secure`` alone where it knows of none."""
    connector = "facts.wiki1.applications.0.server_xml.connectors.0"
    changes = {f"{connector}.proxy_name": "wiki.example.com", f"{connector}.proxy_port": port}
    plan = make_plan(base("direct", set={**changes, f"{connector}.secure": True, f"{connector}.line": 12}))
    (direct,) = [item for item in plan.sites[0].evidence if item.startswith("direct:")]
    assert f"server.xml:12: proxyName is wiki.example.com, which is this host, and {why}" in direct
    assert plan.hosts["wiki1"].connectors == []
    (finding,) = [item for item in plan.findings if item.id == "RTC215"]
    assert finding.remedy == "Remove secure from the connector, or set TLS up."


def test_t9_encrypts_again_and_checks(base):
    plan_input = base("reencrypt", set={"vars.wiki1.rtc_upstream_name": "tomcat.internal"})
    (vhost,) = plan_of(plan_input, "proxy1").vhosts
    assert vhost.upstreams == [{"scheme": "https", "host": "10.0.0.11", "port": 9083, "backup": False}]
    assert (vhost.upstream_ca, vhost.upstream_name) == (
        "/etc/rtc-proxy/wiki.example.com/upstream-ca.pem",
        "tomcat.internal",
    )
    assert plan_of(plan_input, "proxy1").certificates[0]["src"] == "/pki/root.pem"
    plan = plan_of(plan_input)
    assert plan.rtc[0].tls_from.endswith("server.xml")
    assert (plan.rtc[0].tls_port, plan.rtc[0].tls_name) == (plan.connectors[0].connector_port, "tomcat.internal")
    assert plan.rtc[0].config["tls"] == {
        "certificate": "$RUNTIME_DIRECTORY/tls.crt",
        "key": "$RUNTIME_DIRECTORY/tls.key",
    }
    assert plan.connectors[0].attributes == {
        "proxyName": "wiki.example.com",
        "proxyPort": "443",
    }  # scheme and secure are ignored


def test_builtin_service_keeps_its_place(base):
    listener = {"facts.wiki1.listeners.+": {"address": "::", "port": 9083, "pid": 700, "process": "java"}}
    assert plan_of(base("direct", set=listener)).rtc[0].service == "builtin"
    listener["vars.wiki1.rtc_service"] = "deployed"
    assert plan_of(base("direct", set=listener)).rtc[0].service == "deployed"


@pytest.mark.parametrize(("service", "reuse"), [("builtin", False), ("deployed", True)])
def test_connections_to_a_builtin_service_are_not_used_again(base, service, reuse):
    vhosts = plan_of(base("remote", set={"vars.jira1.rtc_service": service}), "proxy1").vhosts
    assert {vhost.role: vhost.reuse for vhost in vhosts} in ({"rtc": reuse}, {"rtc": reuse, "application": True})


def test_a_foreign_virtual_host_is_not_written_over(base):
    plan_input = base("remote", set={"facts.proxy1.proxies.0.hosts.1.managed": False})
    assert plan_of(plan_input, "proxy1").vhosts == []


def test_nothing_is_planned_at_a_proxy_that_is_not_ours(base):
    plan = make_plan(base("unlisted"))
    assert list(plan.hosts) == ["wiki1"]
    assert plan.hosts["wiki1"].vhosts == []
    assert plan.hosts["wiki1"].rtc[0].trusted_proxies == ["192.0.2.80"]


@pytest.mark.parametrize(
    ("resolved", "addresses", "expected"),
    [
        (["10.0.0.11"], ["10.0.0.11", "10.1.0.11"], ["10.0.0.11"]),
        (["10.1.0.11", "10.0.0.11"], ["10.0.0.11", "10.1.0.11"], ["10.0.0.11", "10.1.0.11"]),
        (["10.0.0.11", "2001:db8::b"], ["10.0.0.11", "2001:db8::b"], ["10.0.0.11", "2001:db8::b"]),
        (["203.0.113.1"], ["10.0.0.11"], ["10.0.0.11"]),  # address translation outside
        (["127.0.1.1"], ["10.0.0.11"], ["10.0.0.11", "127.0.1.1"]),  # Debian's own name in /etc/hosts
        ([], ["10.0.0.11"], ["10.0.0.11"]),
    ],
)
def test_where_the_proxy_beside_the_service_listens(base, resolved, addresses, expected):
    plan_input = base(
        "pristine", set={"facts.wiki1.resolves": {"wiki.example.com": resolved}, "facts.wiki1.addresses": addresses}
    )
    assert plan_of(plan_input).vhosts[0].listen == expected


def test_a_remote_proxy_with_ipv6_listens_on_both(base):
    plan_input = base("remote", set={"facts.proxy1.addresses": ["10.0.0.9", "2001:db8::9"]})
    assert plan_of(plan_input, "proxy1").vhosts[0].listen == ["*", "::"]


def test_a_proxy_beside_a_service_of_another_site_leaves_it_its_loopback(base):
    """proxy1 runs Confluence's RTC on loopback itself: "*" at the same port would take it."""
    plan_input = base("plain_remote")
    plan_input.facts["proxy1"].applications = base("direct").facts["wiki1"].applications
    plan_input.facts["proxy1"].resolves["local.example.com"] = ["10.0.0.9"]
    plan_input.groups["confluence"] = ["wiki1", "proxy1"]
    plan_input.settings["proxy1"]["confluence"].server_name = "local.example.com"
    (vhost,) = [item for item in plan_of(plan_input, "proxy1").vhosts if item.server_name == "wiki.example.com"]
    assert vhost.listen == ["10.0.0.9"]


def test_python_of_the_target(base):
    newer = {
        "facts.wiki1.python": "3.9",
        "facts.wiki1.pythons": {"/opt/p/python3.12": "3.12.1", "/usr/local/bin/python3.10": "3.10.4"},
    }
    service = plan_of(base("direct", set=newer)).rtc[0]
    assert (service.python, service.python_version) == ("/opt/p/python3.12", "3.12")
    newer["vars.wiki1.rtc_server_python"] = "/usr/local/bin/python3.10"
    service = plan_of(base("direct", set=newer)).rtc[0]
    assert (service.python, service.python_version) == ("/usr/local/bin/python3.10", "3.10")


def test_an_ipv6_node_is_reached_in_brackets(base):
    changes = {
        "vars.wiki1.rtc_manage_application_vhost": True,
        "facts.wiki1.addresses": ["2001:db8::b"],
        "facts.wiki1.main_address": "2001:db8::b",
    }
    plan_input = base("plain_remote", set=changes)
    plan_input.facts["proxy1"].proxies = []
    plan_input.settings["wiki1"]["confluence"].proxy = "proxy1"
    rtc, application = plan_of(plan_input, "proxy1").vhosts
    assert rtc.upstreams[0]["host"] == "2001:db8::b"
    assert application.synchrony == "[2001:db8::b]:8091"
    assert plan_of(plan_input).rtc[0].address == "::"


def test_a_private_key_is_never_part_of_a_plan(base):
    text = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
    plan = plan_of(base("pristine", set={"vars.wiki1.rtc_tls_key": text}))
    assert plan.certificates[1] == {
        "variable": "rtc_tls_key",
        "from": "wiki1",
        "kind": "confluence",
        "dest": "/etc/rtc-proxy/wiki.example.com/privkey.pem",
        "mode": "0600",
        "holds": "private_key",
    }
    assert "c2VjcmV0" not in json.dumps(_facts.to_dict(plan))


def test_a_trust_store_of_its_own_begins_with_the_one_in_use(base):
    (trust,) = plan_of(base("remote", set={"vars.jira1.rtc_truststore_path": "/var/store"}), "jira1").trust
    assert (trust.path, trust.copy_from) == ("/var/store", "/usr/lib/jvm/java-11-openjdk-amd64/lib/security/cacerts")


OPTION = {
    "path": "/opt/jira/bin/setenv.sh",
    "mtime": 1700000000,
    "effective_store_without_block": "/jre/lib/security/cacerts",
}
OPTION_AT = "facts.jira1.applications.0.java.option"
USED = "facts.jira1.applications.0.java.truststore.path"


@pytest.mark.parametrize(
    ("option", "own", "used", "stores", "options"),
    [
        ({}, "/var/store", "/jre/cacerts", [("/var/store", "/jre/cacerts")], [("/var/store", "/jre/cacerts")]),
        # Named already: the same again, which changes nothing. A store that was lost is made anew from the JRE's.
        ({"managed_store": "/var/store", "mtime": 1800000000}, "/var/store", "/var/store",
         [("/var/store", "/jre/lib/security/cacerts")],
         [("/var/store", "/jre/lib/security/cacerts")]),
        # Another one was asked for before.
        ({"managed_store": "/var/old"}, "/var/store", "/var/old", [("/var/store", "/jre/lib/security/cacerts")],
         [("/var/store", "/jre/lib/security/cacerts")]),
        # Not asked for any more: the import goes where the JVM will look without our block.
        ({"managed_store": "/var/store"}, "", "/var/store", [("/jre/lib/security/cacerts", "")], [("", "")]),
        ({}, "", "/jre/cacerts", [("/jre/cacerts", "")], []),
        ({"store_without_block": "/etc/own"}, "/var/store", "/etc/own", [("/var/store", "/etc/own")], []),
        ({"store_without_block": "/var/store"}, "/var/store", "/var/store", [("/var/store", "")], [("/var/store", "")]),
        ({"obstacle": "It ends early."}, "/var/store", "/jre/cacerts", [("/var/store", "/jre/cacerts")], []),
    ],
)  # fmt: skip
def test_a_trust_store_of_its_own_is_named_to_the_jvm(base, option, own, used, stores, options):
    changes = {OPTION_AT: {**OPTION, **option}, "vars.jira1.rtc_truststore_path": own, USED: used}
    plan = plan_of(base("remote", set=changes), "jira1")
    assert [(item.path, item.copy_from) for item in plan.trust] == stores
    assert [(item.truststore, item.instead_of) for item in plan.trust_options] == options
    assert all(item.path == OPTION["path"] for item in plan.trust_options)
    shown = report_text.render_plan(make_plan(base("remote", set=changes)))
    texts = [
        f"-Djavax.net.ssl.trustStore={item.truststore}" if item.truststore else "no trust store of its own"
        for item in plan.trust_options
    ]
    assert all(f"{OPTION['path']}: {text}" in shown for text in texts)
    assert shown.count(OPTION["path"] + ":") == len(options)


def test_a_process_from_before_the_option_is_restarted(base):
    changes = {
        OPTION_AT: {**OPTION, "managed_store": "/var/store", "mtime": 1700000200},
        "vars.jira1.rtc_truststore_path": "/var/store",
        "facts.jira1.applications.0.process": {"pid": 7, "started": 1700000100},
    }
    restart = plan_of(base("remote", set=changes), "jira1").restarts[0]
    assert restart.reasons == ["/opt/jira/bin/setenv.sh is newer than the process 7"]
    changes["facts.jira1.applications.0.process"]["properties"] = {"javax.net.ssl.trustStore": "/var/store"}
    assert plan_of(base("remote", set=changes), "jira1").restarts[0].reasons == []


def test_the_authority_is_fetched_only_when_that_is_asked_for(base):
    without = {"unset": ["tls", "vars.jira1.rtc_tls_ca"]}
    assert plan_of(base("remote", **without), "jira1").trust == []
    (trust,) = plan_of(base("remote", set={"vars.jira1.rtc_tls_fetch": True}, **without), "jira1").trust
    assert trust.certificates == [{"host": "jira.example.com", "port": "443"}]


def test_package_names_of_the_red_hat_family(base):
    plan_input = base("pristine", set={"facts.wiki1.os_family": "redhat", "vars.wiki1.rtc_proxy_kind": "apache"})
    assert plan_of(plan_input).packages == ["httpd", "mod_ssl"]


@pytest.mark.parametrize(
    ("service", "variables", "expected"),
    [
        ({}, {}, ("confluence", [], "when_needed")),
        ({"kind": "none", "name": ""}, {}, ("", [], "never")),
        ({"active": False}, {}, ("confluence", [], "never")),
        (
            {"kind": "none", "name": ""},
            {"rtc_application_restart": ["/s", "x y", 1]},
            ("", ["/s", "x y", "1"], "when_needed"),
        ),
        ({}, {"rtc_application_restart": ["s"], "rtc_restart_application": "never"}, ("confluence", ["s"], "never")),
    ],
)
def test_who_restarts_the_application(base, service, variables, expected):
    changes = {f"facts.wiki1.applications.0.service.{name}": value for name, value in service.items()}
    changes.update({f"vars.wiki1.{name}": value for name, value in variables.items()})
    (restart,) = plan_of(base("direct", set=changes)).restarts
    assert (restart.service, restart.command, restart.policy) == expected


def test_a_restart_that_is_due_is_in_the_plan(base):
    restart = plan_of(base("same_host", set={"facts.wiki1.applications.0.server_xml.mtime": 1700001500})).restarts[0]
    assert restart.reasons == ["/opt/atlassian/confluence/conf/server.xml is newer than the process 700"]
    assert (restart.service, restart.port, restart.address, restart.scheme) == ("confluence", 8090, "127.0.0.1", "http")


@pytest.mark.parametrize("of_site", [[], ["10.0.0.8"]])
def test_addresses_to_listen_on_may_be_named_by_the_host_of_the_proxy(base, of_site):
    plan = make_plan(
        base("plain_remote", set={"vars.proxy1": {"rtc_listen": "10.0.0.9"}, "vars.wiki1.rtc_listen": of_site})
    )
    (vhost,) = plan.hosts["proxy1"].vhosts
    assert vhost.listen == (of_site or ["10.0.0.9"])
