# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written for one kind of proxy only; ``test_renderers`` has what holds for all."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy import apply
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import modules
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import MARK
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.tests.unit.rendered_host import ACTIVE, DATA, Host, plan


def test_health_is_asked_of_rtc_by_those_that_can(tmp_path, monkeypatch):
    host = Host("apache", tmp_path / "root", monkeypatch, "2.4.62")
    path = host.root / "etc/apache2/mods-available/proxy_hcheck.load"
    path.write_text("LoadModule proxy_hcheck_module /usr/lib/apache2/modules/mod_proxy_hcheck.so\n")
    host.write(plan("apache", upstreams=ACTIVE, health="/readyz"))
    assert "hcuri=/readyz" in host.text()
    assert (host.root / "etc/apache2/mods-enabled/proxy_hcheck.load").is_symlink()
    secure = [{**item, "scheme": "https"} for item in ACTIVE]
    authority = "/etc/ssl/rtc.pem"
    host.write(plan("apache", upstreams=secure, health="/readyz", upstream_ca=host.server.path(authority)))
    assert "hcuri" not in host.text(), "it would take every node for down: the certificate is not for the address"


def test_modules_that_a_run_could_not_use_are_found(tmp_path, monkeypatch):
    """On Debian those that are in mods-available can be switched on; elsewhere they have to be loaded."""
    host = Host("apache", tmp_path / "root", monkeypatch)
    assert modules.find_lacking(host.server) == ["proxy_hcheck"]
    available = host.root / "etc/apache2/mods-available"
    (available / "proxy_hcheck.load").write_text("LoadModule proxy_hcheck_module modules/mod_proxy_hcheck.so\n")
    (available / "slotmem_shm.load").unlink()
    assert modules.find_lacking(host.server) == ["slotmem_shm"]
    with (host.root / "etc/apache2/apache2.conf").open("a") as file:
        file.write("LoadModule slotmem_shm_module modules/mod_slotmem_shm.so\n")
    assert modules.find_lacking(host.server) == []


def test_apache_keeps_connections_of_who_polls_for_longer_than_a_ping_interval(tmp_path, monkeypatch):
    host = Host("apache", tmp_path / "root", monkeypatch)
    host.write(plan("apache"))
    (found,) = re.findall(r"<IfModule !mpm_prefork_module>\s+KeepAlive On\s+KeepAliveTimeout (\d+)\s", host.text())
    assert int(found) > 25 and int(found) % 25
    host.write(plan("apache", role="application"))
    assert "KeepAlive" not in host.text()


@pytest.mark.parametrize("role", ["rtc", "application"])
@pytest.mark.parametrize("version", ["2.4.37", "2.4.62"])
def test_apache_takes_the_pools_of_a_server_name_of_any_length(tmp_path, monkeypatch, version, role):
    """httpd does not start with a name of a balancer, or of what keeps a client at its node, of more than 63 signs."""
    host = Host("apache", tmp_path / "root", monkeypatch, version)
    pools, cookies = set(), set()
    for long in (
        "confluence.corp.example.com",
        f"confluence.{'b' * 60}.example.com",
        f"confluence.{'b' * 60}.example.org",
    ):
        ups = ACTIVE if role == "rtc" else [{**item, "label": ""} for item in ACTIVE]
        host.write(plan("apache", role=role, name=f"{role}-confluence-{long}-9083", server_name=long, upstreams=ups))
        files = (host.root / "etc/apache2/sites-available").glob(f"*{long}*")
        text = "".join(file.read_text() for file in files)
        pools |= set(re.findall(r'<Proxy "(balancer://[^"]*)">', text))
        cookies |= set(re.findall(r"stickysession=(\S+)", text))
        for name in re.findall(r"balancer://[\w-]+", text):
            assert f'<Proxy "{name}">' in text
    assert len(pools) == 3 * (2 if (version, role) == ("2.4.37", "rtc") else 1)
    assert len(cookies) == (1 if role == "rtc" else 3)
    assert max(map(len, pools | cookies)) <= 63


def test_failover_asks_rtc_and_ends_what_is_left_at_the_other_node(tmp_path, monkeypatch):
    host = Host("haproxy", tmp_path / "root", monkeypatch)
    several = [{"scheme": "http", "host": f"192.0.2.{end}", "port": 9083, "backup": end > 20} for end in (20, 21)]
    host.write(plan("haproxy", upstreams=several, health="/readyz"))
    assert "http-check send meth GET uri /readyz" in host.text()
    assert "on-marked-up shutdown-backup-sessions" in host.text()
    host.write(plan("haproxy", upstreams=several))
    assert "tcp-check" in host.text(), "the add-on's own service has no /readyz"


@pytest.mark.parametrize("kind", ["nginx", "apache", "haproxy"])
def test_of_several_that_stand_by_one_serves_at_a_time(tmp_path, monkeypatch, kind):
    """Tried with the real servers: nginx, and httpd within one set, give requests to all backups in turn."""
    host = Host(kind, tmp_path / "root", monkeypatch)
    ups = [{"scheme": "http", "host": f"192.0.2.{end}", "port": 9083, "backup": end > 20} for end in range(20, 24)]
    host.write(plan(kind, upstreams=ups, health="/readyz"))
    text = host.text()
    if kind == "nginx":
        assert re.findall(r"server (192\S+):9083( backup)?;", text) == [("192.0.2.20", ""), ("192.0.2.21", " backup")]
    elif kind == "apache":
        sets = dict(
            re.findall(r'BalancerMember "http://(192\S+):9083".* status=\+H(?: lbset=(\d))?$', text, re.MULTILINE)
        )
        assert sets == {"192.0.2.21": "", "192.0.2.22": "1", "192.0.2.23": "2"}
    else:
        assert len(re.findall(r"^    server .* backup$", text, re.MULTILINE)) == 3
        assert "allbackups" not in text


def test_a_link_of_ours_that_points_elsewhere_is_mended(tmp_path, monkeypatch):
    host = Host("nginx", tmp_path / "root", monkeypatch)
    host.write(plan("nginx"))
    link = host.root / "etc/nginx/sites-enabled/rtc-confluence-9083.conf"
    link.unlink()
    link.symlink_to("/etc/hostname")
    host.write(plan("nginx"))
    assert os.readlink(link) == str(host.root / "etc/nginx/sites-available/rtc-confluence-9083.conf")
    assert sorted(os.listdir(link.parent)) == ["confluence", link.name]


def test_apache_switches_on_what_modules_depend_on(tmp_path, monkeypatch):
    host = Host("apache", tmp_path / "root", monkeypatch)
    host.write(plan("apache"))
    enabled = sorted(path.name for path in (host.root / "etc/apache2/mods-enabled").iterdir())
    assert enabled == ["headers.load", "proxy.load", "proxy_http.load", "ssl.load"]
    assert os.readlink(host.root / "etc/apache2/mods-enabled/proxy.load") == "../mods-available/proxy.load"
    several = [{"scheme": "http", "host": f"192.0.2.{end}", "port": 9083} for end in (20, 21)]
    host.write(plan("apache", upstreams=several))
    assert {"slotmem_shm.load", "alias.load", "lbmethod_bybusyness.load", "lbmethod_byrequests.load"} <= set(
        os.listdir(host.root / "etc/apache2/mods-enabled")
    )


def test_apache_module_that_is_not_installed(tmp_path, monkeypatch):
    host = Host("apache", tmp_path / "root", monkeypatch)
    (host.root / "etc/apache2/mods-available/proxy_http.load").unlink()
    with pytest.raises(ProxyError, match="no module proxy_http"):
        host.write(plan("apache"))


@pytest.mark.parametrize(
    ("version", "form"),
    [("2.4.47", "upgrade=websocket"), ("2.4.62", "upgrade=websocket"), ("2.4.46", "ws://"), ("2.4.6", "ws://")],
)
def test_apache_form_of_the_upgrade(tmp_path, monkeypatch, version, form):
    host = Host("apache", tmp_path / "root", monkeypatch, version)
    found = host.write(plan("apache"))
    assert form in host.text()
    assert ("upgrade=websocket" in host.text()) != ("ws://" in host.text())
    assert all(route.upgrade for route in found[0].routes)


def test_apache_cannot_check_another_name(tmp_path, monkeypatch):
    host = Host("apache", tmp_path / "root", monkeypatch)
    secure = [{"scheme": "https", "host": "192.0.2.20", "port": 9083}]
    with pytest.raises(ProxyError, match="only, not against tomcat"):
        host.write(plan("apache", upstreams=secure, upstream_ca="/ca.pem", upstream_name="tomcat.example.com"))


def test_nginx_cannot_mix_several_and_backup(tmp_path, monkeypatch):
    host = Host("nginx", tmp_path / "root", monkeypatch)
    several = [{"scheme": "http", "host": f"192.0.2.{end}", "port": 9083, "backup": end == 22} for end in (20, 21, 22)]
    with pytest.raises(ProxyError, match="backup"):
        host.write(plan("nginx", upstreams=several))


def test_nginx_of_other_packagers(tmp_path, monkeypatch):
    """RHEL and nginx.org include conf.d only."""
    host = Host("nginx", tmp_path / "root", monkeypatch)
    main = host.root / "etc/nginx/nginx.conf"
    main.write_text(main.read_text().replace("include sites-enabled/*;", ""))
    host.write(plan("nginx"))
    assert host.desired.configuration == [f"{host.root}/etc/nginx/conf.d/rtc-confluence-9083.conf"]
    assert host.desired.links == []


@pytest.mark.parametrize(
    ("version", "words", "tls", "refused"),
    [
        ("1.22.1", "http2", False, "speaks HTTP/2 alone"),
        ("1.25.1", "http2", False, ""),
        ("1.22.1", "ssl http2", True, ""),
        ("1.26.0", "proxy_protocol", False, "expects the PROXY protocol"),
        ("1.26.0", "ssl proxy_protocol", True, "expects the PROXY protocol"),
        ("1.22.1", "reuseport backlog=511", False, ""),
    ],
)
def test_nginx_on_a_socket_of_others(tmp_path, monkeypatch, version, words, tls, refused):
    """What they say of it holds for ours, too; seen with nginx 1.22.1."""
    host = Host("nginx", tmp_path / "root", monkeypatch, version)
    (host.root / "etc/nginx/nginx.conf").write_text("events { }\nhttp { include conf.d/*.conf; }\n")
    theirs = host.root / "etc/nginx/conf.d/theirs.conf"
    theirs.write_text(f"server {{\n    listen 192.0.2.10:9083 {words};\n    server_name jira.example.com;\n}}\n")
    vhost = plan("nginx", **({} if tls else {"certificate": "", "key": ""}))
    if not refused:
        host.write(vhost)
        return
    with pytest.raises(ProxyError, match=refused) as caught:
        host.write(vhost)
    assert f"{theirs}:2 " in str(caught.value)
    host.write(
        dataclasses.replace(vhost, port=9084), dataclasses.replace(vhost, name="application", role="application")
    )


def test_nginx_that_includes_nothing(tmp_path, monkeypatch):
    host = Host("nginx", tmp_path / "root", monkeypatch)
    (host.root / "etc/nginx/nginx.conf").write_text("events {}\nhttp { include mime.types; }\n")
    with pytest.raises(ProxyError, match="includes neither"):
        host.write(plan("nginx"))


def test_apache_of_the_rhel_family(tmp_path, monkeypatch):
    root = tmp_path / "root"
    host = Host("apache", root, monkeypatch)
    shutil.rmtree(root / "etc/apache2")
    for name in ("conf", "conf.d", "conf.modules.d"):
        (root / "etc/httpd" / name).mkdir(parents=True)
    (root / "etc/httpd/conf/httpd.conf").write_text(
        'ServerRoot "/etc/httpd"\nListen 80\nInclude conf.modules.d/*.conf\nIncludeOptional conf.d/*.conf\n'
    )
    with pytest.raises(ProxyError, match="does not load the modules headers, proxy, proxy_http, ssl"):
        host.write(plan("apache"))
    modules = ("headers", "proxy", "proxy_http", "ssl")
    (root / "etc/httpd/conf.modules.d/00.conf").write_text(
        "".join(f"LoadModule {name}_module m.so\n" for name in modules)
    )
    assert len(host.write(plan("apache"))) == 1
    assert host.desired.configuration == [f"{root}/etc/httpd/conf.d/rtc-confluence-9083.conf"]
    assert host.server.test_command()[0][1:] == [
        "-t",
        "-d",
        f"{root}/etc/httpd",
        "-f",
        f"{root}/etc/httpd/conf/httpd.conf",
    ]


def test_haproxy_of_the_rhel_family(tmp_path, monkeypatch):
    """Its unit reads a directory: a file of our own there, and haproxy.cfg stays as it is."""
    host = Host("haproxy", tmp_path / "root", monkeypatch)
    (host.root / "etc/default/haproxy").unlink()
    (host.root / "etc/haproxy/conf.d").mkdir()
    unit = host.root / "usr/lib/systemd/system/haproxy.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -f $CFGDIR -p $PIDFILE $OPTIONS\n")
    assert len(host.write(plan("haproxy"))) == 1
    own = host.root / "etc/haproxy/conf.d/collab-rtc.cfg"
    assert own.exists()
    assert Path(host.server.main()).read_bytes() == (DATA / "haproxy/etc/haproxy/haproxy.cfg").read_bytes()
    host.write(absent=["rtc-confluence-9083"])
    assert not own.exists()


def test_haproxy_key_file_is_private(tmp_path, monkeypatch):
    host = Host("haproxy", tmp_path / "root", monkeypatch)
    host.write(plan("haproxy"))
    pem = host.root / "etc/haproxy/collab-rtc/rtc-confluence-9083.pem"
    assert pem.read_text() == "rtc.pem\nrtc.key\n"
    assert pem.stat().st_mode & 0o777 == 0o600
    pem.chmod(0o644)
    (step,) = apply.find_differences(host.server.build_layout([host.local(plan("haproxy"))], [], host.server.read()))
    assert "rtc.key" not in str(step.diff())
    step.apply()
    assert pem.stat().st_mode & 0o777 == 0o600


def test_haproxy_directory_of_keys_goes_with_the_last_key(tmp_path, monkeypatch):
    host = Host("haproxy", tmp_path / "root", monkeypatch)
    wiki = host.local(plan("haproxy"))
    host.write(wiki)
    own = host.root / "etc/haproxy/collab-rtc"
    assert list(own.iterdir())
    options = apply.ChangeOptions(validate=False, reload=False, selinux=False, firewalld=False)
    apply.ProxyChange(host.server, [], [wiki.name], options).run()
    assert not own.exists()


def test_haproxy_diff_hides_passwords_of_others(tmp_path, monkeypatch):
    host = Host("haproxy", tmp_path / "root", monkeypatch)
    with open(host.server.main(), "a") as file:
        file.write("listen stats\n    stats auth admin:hunter2\nuserlist u\n    user joe insecure-password hunter2\n")
    desired = host.server.build_layout([host.local(plan("haproxy"))], [], host.server.read())
    shown = str([step.diff() for step in apply.find_differences(desired)])
    assert "stats auth ****" in shown
    assert "hunter2" not in shown


def test_haproxy_block_that_someone_cut(tmp_path, monkeypatch):
    host = Host("haproxy", tmp_path / "root", monkeypatch)
    host.write(plan("haproxy"))
    main = Path(host.server.main())
    main.write_text(main.read_text().replace("# END collab.rtc", ""))
    with pytest.raises(ProxyError, match=r"END collab\.rtc"):
        host.write(plan("haproxy"))


def test_haproxy_that_is_too_old(tmp_path, monkeypatch):
    host = Host("haproxy", tmp_path / "root", monkeypatch, "1.8.27")
    with pytest.raises(ProxyError, match="too old"):
        host.write(plan("haproxy"))


LOGS = {  # the main file, and the line after which the settings of logs are read
    "nginx": ("/etc/nginx/nginx.conf", "http {\n"),
    "apache": ("/etc/apache2/apache2.conf", ""),
    "haproxy": ("/etc/haproxy/haproxy.cfg", "defaults\n"),
}


@pytest.mark.parametrize(
    ("kind", "given", "written"),
    [
        ("nginx", ["access_log off;"], []),
        ("nginx", [], ["access_log ROOT/var/log/nginx/access.log collab_rtc_confluence_9083;"]),
        (
            "nginx",
            ["access_log /var/log/a.log main buffer=32k if=$loggable;", "access_log syslog:server=unix:/dev/log;"],
            [
                'access_log /var/log/a.log collab_rtc_confluence_9083 buffer=32k "if=$loggable";',
                "access_log syslog:server=unix:/dev/log collab_rtc_confluence_9083;",
            ],
        ),
        ("apache", [], []),
        (
            "apache",
            ["CustomLog logs/a.log combined env=!quiet", r'TransferLog "|/usr/bin/rotate \"a b\""'],
            ['CustomLog "logs/a.log" "%h FORMAT" "env=!quiet"', r'CustomLog "|/usr/bin/rotate \"a b\"" "%h FORMAT"'],
        ),
        ("apache", ["CustomLog /var/log/o.log vhost_combined"], ['CustomLog "/var/log/o.log" "%v:%p %h FORMAT"']),
        ("haproxy", [], []),
        ("haproxy", ["log global", "option httplog"], [r"log-format FORMAT \"%HM\ %HP\ %HV\""]),
    ],
)
def test_requests_are_logged_where_the_server_logs_them(tmp_path, monkeypatch, kind, given, written):
    host = Host(kind, tmp_path / "root", monkeypatch)
    name, after = LOGS[kind]
    path = host.root / name.lstrip("/")
    text = path.read_text() + "".join(f"{line}\n" for line in given if not after)
    path.write_text(text.replace(after, after + "".join(f"    {line}\n" for line in given), 1) if after else text)
    host.write(plan(kind))
    ours = host.text()[host.text().index(MARK) :]
    found = [
        line.strip()
        for line in ours.splitlines()
        if line.split()[:1] in (["access_log"], ["CustomLog"], ["log-format"])
    ]
    assert [
        re.sub(r"%l .*\{User-Agent\}i\\?\"|%ci.*%hs\\", "FORMAT", line).replace(str(host.root), "ROOT")
        for line in found
    ] == written
