# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to the server: each makes sure that it came out as it has to, and says what administrators were told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import ssl
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import releases
import rtc_support
import yaml
from hostlab import pki
from scenario import Failed, Played, Scenario, wait_for

from rtc_server.auth import Tokens

LAB = Scenario("upgrade")
HOSTS = ("wiki", "front")
WIKI, FRONT = "10.147.97.11", "10.147.97.12"
NAME = "wiki.lab.test"
URL = f"https://{NAME}:9083"
SECRET = yaml.safe_load((LAB.folder / "inventory/group_vars/all/20-scenario.yml").read_text())["rtc_secret"]
OTHER_SECRET = "another-secret-of-the-lab-that-its-clients-get-0123456789"  # noqa: S105
UNIT = "rtc-server@confluence"
CONFIG = "/etc/rtc-server/confluence.toml"
BASE = "/opt/rtc-server"
OLD, OLD_NAME = releases.own()
ANY_CERTIFICATE = ssl._create_unverified_context()  # noqa: S323 - whose it is, checks of the runs look at


@dataclass
class Act:
    """A row of the table."""

    what: str
    do: Callable[[], str]
    is_calm: bool = False  # nobody may notice
    is_short: bool = False
    is_open: bool = False  # nobody may be refused: systemd holds the port


def server(command: str) -> str:
    """A command of ``rtc-server`` on the host, as docs/operations.md has it."""
    where = "/etc/rtc-server/confluence"
    return (
        f"CREDENTIALS_DIRECTORY={where} RUNTIME_DIRECTORY={where}"
        f" python3 -I {BASE}/current/rtc-server {command} --config {CONFIG}"
    )


def use_secret(*secrets: str) -> None:
    """What tokens are signed with from now on."""
    rtc_support.TOKENS = Tokens([secret.encode() for secret in secrets])


def play(more: dict[str, Any], statuses: tuple[int, ...] = (0,)) -> Played:
    return LAB.play("site", {"hosts": dict.fromkeys(HOSTS, more)}, statuses=statuses)


@cache
def make_release(version: str, broken: str = "") -> releases.Release:
    return releases.make(LAB.out, version, broken)


def find_version() -> str:
    """Of the server that answers and may be given clients; "" for none."""
    try:
        for page in ("readyz", "healthz"):
            with urllib.request.urlopen(f"https://{WIKI}:9083/{page}", timeout=5, context=ANY_CERTIFICATE) as answer:
                found = json.load(answer)
    except OSError:
        return ""
    return str(found["version"])


def find_pid() -> int:
    return int(LAB.execute("wiki", f"systemctl show -P MainPID {UNIT}"))


def read_links() -> tuple[str, str]:
    """The current release, and the one that the instance was last ready with."""
    found = LAB.execute("wiki", f"readlink {BASE}/current {BASE}/ready/confluence")
    current, ready = (os.path.basename(line) for line in found.splitlines())
    return current, ready


def require(is_so: Any, what: str) -> None:
    if not is_so:
        raise Failed(what)


def require_release(version: str, name: str) -> None:
    """That this one serves, and nothing of another run is left."""
    found = find_version()
    require(found == version, f"{found or 'nothing'} serves, and not {version}")
    require(read_links() == (name, name), f"current and ready are {read_links()}, and not {name}")
    left = LAB.execute("wiki", f"ls -d {BASE}/releases/.* | grep -v '/\\.*$'", False)
    require(not left, f"left: {left}")


def tell(played: Played) -> str:
    """What the run told administrators, in short."""
    failed = [f"{host}: {one['cause']} {one['remedy']}" for host, one in played.report.get("failures", {}).items()]
    back = [f"rolled back: {site}" for site, one in played.report.get("rolled_back", {}).items() if one.get("hosts")]
    checks = [check for found in played.report.get("checks", {}).values() for check in found]
    passed = f"{sum(check['ok'] is True for check in checks)} of {len(checks)} checks passed"
    return " ".join("; ".join([*failed, *back] or [passed]).split())


def change_release(more: dict[str, Any], version: str, name: str) -> str:
    """A run that ends with this release."""
    said = tell(play(more))
    require_release(version, name)
    return said


def upgrade(version: str) -> str:
    new = make_release(version)
    return change_release({"rtc_bundle": str(new.path)}, new.version, new.name)


def downgrade() -> str:
    return change_release({"rtc_server_version": OLD}, OLD, OLD_NAME)


def fail(version: str, broken: str, *words: str) -> str:
    """A run with a broken release fails and says why; the old one serves."""
    new = make_release(version, broken)
    played = play({"rtc_bundle": str(new.path)}, statuses=(2,))
    said = tell(played)
    for expected in words:
        require(expected in said, f"not said: {expected}: {said}")
    wait_for(lambda: find_version() == OLD, f"{OLD} serves")
    require_release(OLD, OLD_NAME)
    return said


async def come_in() -> None:
    """Once, with a token of now."""
    client = await rtc_support.Client.open(URL)
    try:
        await client.connect(rtc_support.token("visitor"))
    except rtc_support.Closed as exc:
        raise Failed(f"a visitor is refused: {exc}") from exc
    finally:
        await client.close()


def renew() -> str:
    """Certificates in the application's key store and at the proxy, and the secret: tokens with the old and the new one
    let in."""
    addresses = ((WIKI, 9083), (FRONT, 9083))
    pid, before = find_pid(), [ssl.get_server_certificate(address) for address in addresses]
    shutil.rmtree(LAB.state / "pki" / NAME)
    pki.ensure(LAB.state / "pki", (NAME,))
    for name, ending in (("fullchain.pem", "crt"), ("privkey.pem", "key")):
        shutil.copy(LAB.state / "pki" / NAME / name, LAB.state / "hosts/wiki" / f"confluence.{ending}")
    LAB.execute("wiki", "sh /usr/local/lib/rtc-lab/key-store confluence PKCS12 10")
    # With the release that serves: a restart would let in nobody with the old secret.
    said = tell(play({"rtc_secret": OTHER_SECRET, "rtc_server_version": find_version()}))
    after = [ssl.get_server_certificate(address) for address in addresses]
    require(not set(before) & set(after), "an old certificate is presented")
    for secret in (SECRET, OTHER_SECRET):
        use_secret(secret)
        asyncio.run(come_in())
    require(find_pid() == pid, "the process is another one")
    return said


def hang() -> str:
    """As a process that does not turn its loop any more."""
    pid, began = find_pid(), time.monotonic()
    LAB.execute("wiki", f"systemctl kill -s STOP {UNIT}")
    wait_for(lambda: find_version() and find_pid() != pid, "another process serves", 120)
    took = time.monotonic() - began
    log = LAB.execute("wiki", f"journalctl -u {UNIT} -o cat --since -3min | grep -m1 -i watchdog")
    return f"another process served after {took:.0f} s; the log: {log}"


def fail_slowly() -> str:
    """Starts that fail after a while: at the start limit the port is closed, and the doctor says so."""
    began, folder = time.monotonic(), f"/run/systemd/system/{UNIT}.service.d"
    LAB.execute("wiki", f"""
        mkdir -p {folder}
        printf '[Service]\\nExecStart=\\nExecStart=/bin/sh -c "sleep 7; exit 1"\\n' >{folder}/slow.conf
        systemctl daemon-reload && systemctl restart --no-block {UNIT}""")  # fmt: skip
    wait_for(lambda: LAB.execute("wiki", f"systemctl is-active {UNIT}.socket", False) == "failed", "no port", 300)
    took, said = time.monotonic() - began, LAB.execute("wiki", server("doctor"), False).partition("\n")[0]
    require("gave up (start limit)" in said, f"the doctor says: {said}")
    LAB.execute("wiki", f"""
        rm -r {folder}
        systemctl daemon-reload && systemctl reset-failed {UNIT} && systemctl start {UNIT}""")  # fmt: skip
    return f"the port was closed after {took:.0f} s; {said}"


def reboot() -> str:
    """As an administrator does it."""
    LAB.execute("wiki", "systemctl reboot", False)
    LAB.await_end("wiki")
    LAB.power_on("wiki")
    version = wait_for(find_version, "a server is there again")
    found = LAB.execute("wiki", f"systemctl is-active {UNIT} {UNIT}.socket").split()
    require(found == ["active", "active"], f"service and socket are {found}")
    return f"{version} served again by itself"


def fill_disk(version: str) -> str:
    """With no space for another release the old one serves; the next run, which has space, completes."""
    new = make_release(version)
    more = {"rtc_bundle": str(new.path)}
    before = find_version(), read_links()[0]
    LAB.execute("wiki", f"""
        set -e
        mkdir /root/kept && cp -a {BASE}/. /root/kept/
        mount -t tmpfs -o mode=0755,size=$(($(du -sk /root/kept | cut -f1) + 4096))k tmpfs {BASE}
        cp -a /root/kept/. {BASE}/""")  # fmt: skip
    said = tell(play(more, statuses=(2,)))
    require("space" in said, f"not said: no space: {said}")
    require_release(*before)
    LAB.execute("wiki", f"mount -o remount,size=1g {BASE}")
    change_release(more, new.version, new.name)
    return said


# What to wait for before the power goes: of the host's files, and whether its server's process is there.
CUTS: dict[str, Callable[[str, str, int], bool]] = {
    "is unpacked": lambda root, _name, _pid: any(
        one.startswith(".unpack") for one in os.listdir(f"{root}{BASE}/releases")
    ),
    "is tried": lambda root, _name, _pid: any(
        one.startswith("rtc-trial-") for one in os.listdir(f"{root}{tempfile.gettempdir()}")
    ),
    "was switched to": lambda root, name, _pid: os.readlink(f"{root}{BASE}/current").endswith(name),
    "is restarted with": lambda root, _name, pid: not os.path.exists(f"{root}/proc/{pid}"),
}


def cut_power(version: str, moment: str) -> str:
    """Old or new serves after the next start, and the next run completes."""
    new = make_release(version)
    before, _ready = read_links()
    more = {"rtc_bundle": str(new.path)}
    root, pid, ended = f"/proc/{LAB.find_init('wiki')}/root", find_pid(), threading.Event()

    def run() -> None:
        with contextlib.suppress(Failed):
            play(more, statuses=(2, 4))
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    while not ended.is_set() and not CUTS[moment](root, new.name, pid):
        time.sleep(0.005)
    require(not ended.is_set(), f"the run ended before the release {moment}")
    LAB.lose("wiki")
    thread.join()
    LAB.power_on("wiki")
    served = wait_for(find_version, "a server is there again")
    current, ready = read_links()
    require(current in (before, new.name), f"{current} is current, neither {before} nor {new.name}")
    change_release(more, new.version, new.name)
    found = (
        f"{'the new' if current == new.name else 'the old'} one was current, {'' if ready == current else 'not '}noted"
    )
    return f"after the start {served} served ({found}); the next run completed"


ACTS = [
    Act("upgrade", partial(upgrade, "8.1.0"), is_short=True, is_open=True),
    Act("downgrade by rtc_server_version", downgrade, is_short=True, is_open=True),
    Act("a release that does not start", partial(fail, "8.2.0", "does not start", "Nothing was switched"), True),
    Act("a release that refuses the configuration",
        partial(fail, "8.2.1", "refuses the configuration", "not known any more", "was taken back"), is_calm=True),
    Act("a release that ends at its start",
        partial(fail, "8.2.2", "ends at its start", "broken on purpose", "was taken back"), is_short=True),
    Act("a release that is never ready", partial(fail, "8.2.3", "is never ready", "is not ready", "was taken back")),
    Act("a release that ends soon after its start", partial(fail, "8.2.4", "ends soon after its start")),
    Act("the process hangs", hang),
    Act("starts that fail after seven seconds", fail_slowly),
    Act("the host is restarted", reboot),
    *(Act(f"the power goes when a release {moment}", partial(cut_power, f"8.3.{number}", moment))
      for number, moment in enumerate(CUTS)),
    Act("no space for a release, and then some", partial(fill_disk, "8.4.0")),
    # The last one: people with the browsers' library have a token of before.
    Act("other certificates and another secret", renew, True, True),
]  # fmt: skip
