# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration file and the commands around it: every complaint names file, line and key."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
from rtc_support import ROOT, SECRET, TOKENS, config_text

from rtc_server import cli, config

GOOD = """\
[server]
port = 9083
[token]
keys = ["/k"]
[journal]
path = "/j"
"""
EXAMPLE = ROOT / "files/rtc_server/config.example.toml"

WRONG = [
    (GOOD + "port", "f:7: is not TOML"),
    ("x = 1\n" + GOOD, "f:1: x: is not a section"),
    (GOOD + "[sever]\nport = 1\n", "f:7: sever: is not a section; there are server"),
    (GOOD.replace("port = 9083", "\nprot = 9083"), "f:3: server.prot: is not an option; there are address, port"),
    (GOOD.replace("port = 9083", ""), "f:1: server.port: is missing"),
    (GOOD.replace("port = 9083", "port = 0"), "f:2: server.port: must be a whole number from 1 to 65535"),
    (GOOD.replace("port = 9083", "port = true"), "f:2: server.port: must be a whole number"),
    (GOOD.replace("port = 9083", 'port = "9083"'), "f:2: server.port: must be a whole number"),
    (GOOD.replace("port", 'address = "localhost"\nport'), "f:2: server.address: must be an IP address"),
    (GOOD.replace("port", 'address = "224.0.0.1"\nport'), "f:2: server.address: must be an IP address"),
    (GOOD.replace("port", 'address = "ff02::1"\nport'), "f:2: server.address: must be an IP address"),
    (GOOD.replace("port", 'address = "255.255.255.255"\nport'), "f:2: server.address: must be an IP address"),
    (GOOD.replace("port", 'origins = "https://x"\nport'), "f:2: server.origins: must be a list"),
    (
        GOOD.replace("port", 'origins = ["https://x/wiki"]\nport'),
        "f:2: server.origins: 'https://x/wiki' is not an origin",
    ),
    (GOOD.replace("port", 'origins = ["*"]\nport'), "f:2: server.origins: '*' is not an origin"),
    (GOOD.replace("port", 'origins = ["https://x:0"]\nport'), "f:2: server.origins: 'https://x:0' is not an origin"),
    (GOOD.replace("port", 'origins = ["https://x:65536"]\nport'), "f:2: server.origins: 'https://x:65536' is"),
    (GOOD.replace("port", 'origins = ["https://[::g]"]\nport'), "f:2: server.origins: 'https://[::g]' is not"),
    (GOOD.replace('"/j"', '"/j/"'), "f:6: journal.path: must name a file, and ends in a slash"),
    (GOOD.replace('"/k"', '"/k/"'), "f:4: token.keys: must name a file, and ends in a slash"),
    (GOOD.replace("port", 'path = "rtc"\nport'), "f:2: server.path: must begin and end with a slash"),
    (GOOD.replace("port", 'trusted_proxies = ["x"]\nport'), "f:2: server.trusted_proxies: must be a list of IP"),
    (GOOD.replace('["/k"]', "[]"), "f:4: token.keys: must name one key file"),
    (GOOD.replace('"/k"', '"/1", "/2", "/3"'), "f:4: token.keys: must name one key file"),
    (GOOD.replace('"/k"', '"k"'), "f:4: token.keys: must be an absolute path"),
    (GOOD.replace('"/k"', '"$CREDENTIALS_DIRECTORY/k"'), "f:4: token.keys: $CREDENTIALS_DIRECTORY is not set"),
    (GOOD.replace("[journal]", 'algorithm = "none"\n[journal]'), "f:5: token.algorithm: must be one of HS256"),
    (GOOD + '[tls]\nkey = "/k"\n', "f:7: tls: certificate and key must be given together"),
    (GOOD + "[limits]\nchange_bytes = 2_000_000\n", "f:8: limits.change_bytes: must not be larger than payload_bytes"),
    (GOOD + "[limits]\nchange_bytes = -1\n", "f:8: limits.change_bytes: must be a whole number from"),
    *(
        (GOOD + f"[limits]\n{name} = {value}\n", f"f:8: limits.{name}: must be a")
        for name in (f.name for f in dataclasses.fields(config.LimitSettings))
        for value in ("true", "-1", "nan", "inf", "-inf", "1e999", "1" + "0" * 400, '"1"', "[1]", "1979-05-27", "0.001")
    ),
    (GOOD + "[limits]\nproject_bytes = 0\n", "f:8: limits.project_bytes: must be a whole number from 100000"),
    (
        GOOD + "[limits]\nchange_bytes_per_second = 0\n",
        "f:8: limits.change_bytes_per_second: must be a number from 100",
    ),
    (GOOD + "[limits]\nchanges_burst = 1.0\n", "f:8: limits.changes_burst: must be a whole number"),
    (GOOD + "[limits]\nchanges_burst = " + "9" * 5000 + "\n[log]\n", "f:8: is not TOML: "),
    (GOOD + "[limits]\nchanges_burst = " + "[" * 5000 + "\n[log]\n", "f:8: is not TOML: "),
    (GOOD.replace('"/j"', '"/j\\u0000"'), "f:6: journal.path: must be a text of printable"),
    (GOOD + "[heartbeat]\ninterval = nan\n", "f:8: heartbeat.interval: must be a number from"),
    (GOOD + 'store_url = "postgresql://rtc@h/d"\n', "f:7: journal.store_url: takes the place of journal.path"),
    (GOOD + 'store_ca = "/ca"\n', "f:7: journal.store_ca: is of use with journal.store_url only"),
    (
        GOOD.replace('path = "/j"', 'store_url = "postgresql://rtc:pw@h/d"'),
        "f:6: journal.store_url: must have no passw",
    ),
    (GOOD.replace('path = "/j"', ""), "f:5: journal.path: is missing"),
    (GOOD + '[log]\nlevel = "loud"\n', "f:8: log.level: must be one of debug"),
    (GOOD.replace("9083", '9083\nlabel = "a.b"'), "f:3: server.label: must be 1 to 64 lower-case"),
    (GOOD.replace("9083", f'9083\nlabel = "{"a" * 65}"'), "f:3: server.label: must be 1 to 64 lower-case"),
    (GOOD + '[admin]\nlisten = "0.0.0.0:9"\n', "f:8: admin.listen: must be the path of a socket, 127.0.0.1:PORT or"),
    (GOOD + '[admin]\nlisten = "[::1]:0"\n', "f:8: admin.listen: must have a port from"),
    (GOOD + '[admin]\nlisten = "127.0.0.1:99999"\n', "f:8: admin.listen: must have a port from"),
    (GOOD + f'[admin]\nlisten = "/{"a" * 107}"\n', "f:8: admin.listen: is /"),
    (GOOD + '[admin]\nlisten = "admin.sock"\n', "f:8: admin.listen: must be the path of a socket"),
    (GOOD + '[admin]\nlisten = "/run/a"\n', "f:7: admin: listen and token must be given together"),
    (GOOD + '[admin]\nurl = "wiki.example.org"\n', "f:8: admin.url: must be scheme, name and port"),
    (GOOD + '[admin]\nurl = "https://wiki.example.org:99999"\n', "f:8: admin.url: must be scheme, name and port"),
    (GOOD + '[admin]\nurl = "https://u:p@wiki.example.org"\n', "f:8: admin.url: must be scheme, name and port"),
    ("journal = 1\n" + GOOD.replace('[journal]\npath = "/j"\n', ""), "f:1: journal: must be a section"),
]


@pytest.mark.parametrize(("text", "complaint"), WRONG)
def test_wrong(text: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(config.ConfigError) as caught:
        config.parse(text, "f")
    assert str(caught.value).startswith(complaint)


def test_limits_of_bytes_grow_with_those_of_requests() -> None:
    given = "changes_per_second = 1000\nchanges_burst = 5000\nreads_per_second = 40\npresence_per_second = 120\n"
    limits = config.parse(GOOD + "[limits]\n" + given).limits
    assert (limits.change_bytes_per_second, limits.change_bytes_burst) == (5_000_000, 20_000_000)
    assert (limits.read_bytes_per_second, limits.presence_bytes_per_second) == (8_000_000, 80_000)
    limits = config.parse(GOOD + "[limits]\nchange_bytes_per_second = 7000\n" + given).limits
    assert (limits.change_bytes_per_second, limits.change_bytes_burst) == (7000, 20_000_000)
    assert config.parse(GOOD + "[limits]\nchanges_per_second = 1\n").limits.change_bytes_per_second == 1_000_000
    assert config.parse(GOOD).limits == config.LimitSettings()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://Wiki.example.org:443", "https://wiki.example.org"),
        ("http://wiki.example.org:80", "http://wiki.example.org"),
        ("https://wiki.example.org:80", "https://wiki.example.org:80"),
        ("https://wiki.example.org:08443", "https://wiki.example.org:8443"),
        ("https://[2001:DB8:0:0::1]:9083", "https://[2001:db8::1]:9083"),
    ],
)
def test_origins_are_as_browsers_send_them(given: str, sent: str) -> None:
    """RFC 6454, 6.2: a browser leaves out the scheme's own port, and would be refused everywhere."""
    found = config.parse(GOOD.replace("port", f"origins = ['{given}']\nport")).server.origins
    assert found == (sent,)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    """As editors of Windows write it, with its ends of lines. Lines in complaints stay those of the file."""
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert config.load(str(file)).server.port == 9083
    with pytest.raises(config.ConfigError, match=r"f:2: server\.port: must be"):
        config.parse("\ufeff" + GOOD.replace("9083", "0"), "f")
    with pytest.raises(config.ConfigError, match="f:2: is not TOML"):
        config.parse(GOOD.replace("port", "\ufeffport"), "f")


def test_all_complaints_at_once() -> None:
    with pytest.raises(config.ConfigError) as caught:
        config.parse(GOOD.replace("9083", "0").replace("/k", "k"), "f")
    assert [c.split(" ")[0:2] for c in caught.value.complaints] == [["f:2:", "server.port:"], ["f:4:", "token.keys:"]]


def test_the_example_has_every_option_with_its_default() -> None:
    text = EXAMPLE.read_text()
    example = config.parse(
        text.replace("# [tls]", "[tls]")
        .replace('# certificate = "$CREDENTIALS_DIRECTORY', 'certificate = "')
        .replace('# key = "$CREDENTIALS_DIRECTORY', 'key = "')
    )
    plain = config.parse(GOOD)
    lines = config.find_lines(
        text.replace("# [tls]", "[tls]")
        .replace("# certificate", "certificate")
        .replace("# key =", "key =")
        .replace("# store_", "store_")
        .replace("# label", "label")
        .replace("# [admin]", "[admin]")
        .replace("# listen", "listen")
        .replace("# token", "token")
        .replace("# url", "url")
        .replace("# ca =", "ca =")
        .replace("# front", "front")
    )
    for section in [one for one in dataclasses.fields(config.Config) if one.compare]:  # not where it came from
        for option in dataclasses.fields(getattr(plain, section.name)):
            assert f"{section.name}.{option.name}" in lines, "config.example.toml leaves it out"
            if section.name in ("limits", "heartbeat", "log"):
                assert getattr(getattr(example, section.name), option.name) == option.default


def test_credentials_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    assert config.parse(GOOD.replace("/k", "$CREDENTIALS_DIRECTORY/k")).token.keys == ("/run/credentials/x/k",)


# --- the commands ----------------------------------------------------------------------------------


def write(directory: Path, **sections: object) -> Path:
    path = directory / "c.toml"
    path.write_text(config_text(directory, **sections))  # type: ignore[arg-type]
    return path


def test_check_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    assert cli.main(["check-config", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: good\n"
    (tmp_path / "token.key").write_bytes(b"short")
    assert cli.main(["check-config", str(path)]) == 1
    complaint = capsys.readouterr().err
    assert (
        f"{tmp_path}/token.key: token.keys: the secret has 5 bytes, it needs 32" in complaint
        and "short" not in complaint
    )
    (tmp_path / "token.key").unlink()
    assert cli.main(["check-config", str(path)]) == 1
    assert "token.key: token.keys: cannot be read: No such file" in capsys.readouterr().err
    assert cli.main(["check-config", str(tmp_path / "missing")]) == 1
    (tmp_path / "token.key").write_bytes(SECRET)
    path = write(tmp_path, token={"algorithm": "RS256"}, tls={"certificate": "/nowhere", "key": "/nowhere"})
    assert cli.main(["check-config", str(path)]) == 1
    complaints = capsys.readouterr().err
    assert "is not a PEM file, which RS256 needs" in complaints and "/nowhere: tls: cannot be used" in complaints


def test_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write(tmp_path))
    arguments = ["token", "--config", path, "--user", "ann", "--name", "Ann", "--project", "p", "--project", "q"]
    assert cli.main([*arguments, "--right", "edit", "--ttl", "60"]) == 0
    identity = TOKENS.check(capsys.readouterr().out.strip())
    assert identity[:3] == ("ann", "Ann", {"p": "edit", "q": "edit"})
    assert cli.main([*arguments, "--ttl", "0"]) == 2
    with pytest.raises(SystemExit):
        cli.main([*arguments, "--right", "own"])


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux only")
def test_notify_reaches_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from rtc_server import systemd

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "s"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "s"))
        assert systemd.notify("READY=1")
        assert sock.recv(100) == b"READY=1"
    assert not systemd.notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert not systemd.notify("READY=1")
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert systemd.watchdog_interval() == 15.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert systemd.watchdog_interval() == 0.0
