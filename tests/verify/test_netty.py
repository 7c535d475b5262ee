# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe against netty-socketio, which is what the add-on's own service most likely is: Engine.IO 3, and 3 with 4.

Maven fetches it once into ``.build/netty-socketio``. Skipped, and said so, without a JDK, Maven or its repository.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._detect import passage
from ansible_collections.collab.rtc.plugins.module_utils._verify import probe
from ansible_collections.collab.rtc.tests.unit import servers

CACHE = pathlib.Path(__file__).parents[2] / ".build" / "netty-socketio"
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>tests</groupId><artifactId>tests</artifactId><version>1</version><dependencies>
<dependency><groupId>com.corundumstudio.socketio</groupId>
<artifactId>netty-socketio</artifactId><version>{0}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
"""
MAIN = """import com.corundumstudio.socketio.*;
public class Main {
  public static void main(String[] arguments) throws Exception {
    Configuration options = new Configuration();
    options.setHostname("127.0.0.1");
    options.setPort(Integer.parseInt(arguments[0]));
    SocketIOServer server = new SocketIOServer(options);
    server.start();
    System.out.println("ready");
    System.in.read();
    server.stop();
  }
}
"""


def fetched(version):
    """A directory with the library and our small server, compiled."""
    directory = CACHE / version
    if (directory / "Main.class").exists():
        return directory
    missing = [name for name in ("java", "javac", "mvn") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "pom.xml").write_text(POM.format(version))
    maven = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    done = subprocess.run(maven, cwd=directory, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"Maven could not fetch netty-socketio {version}: {done.stdout[-300:]}")
    (directory / "Main.java").write_text(MAIN)
    subprocess.run(["javac", "-cp", "lib/*", "-d", ".", "Main.java"], cwd=directory, check=True)
    return directory


@pytest.fixture(params=["1.7.18", "2.0.9"])
def netty(request):
    """``(version, port)`` of a running server."""
    directory = fetched(request.param)
    port = servers.unused_port()
    command = ["java", "-Xmx96m", "-cp", "lib/*:.", "Main", str(port)]
    with subprocess.Popen(command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield request.param, port
        finally:
            process.kill()


def test_proxy_that_drops_upgrade(netty, plain_proxy):
    """Such a service does not refuse then: it takes the request for a WebSocket, or does not answer at all."""
    proxy = plain_proxy(netty[1])
    result = probe.check(probe.ProbeOptions(f"http://{servers.NAME}:{proxy.port}/", "127.0.0.1", timeout=5))
    assert result["transports"] == {"polling": True, "websocket": False, "upgrade": False}
    assert result["code"] == "upgrade_refused"
    assert result["failed_step"].startswith("websocket")


def test_netty_socketio(netty):
    version, port = netty
    own = 3 if version.startswith("1.") else 4

    def run_probe(**more):
        return probe.check(probe.ProbeOptions(f"http://{servers.NAME}:{port}/", "127.0.0.1", timeout=20, **more))

    for options in (
        {},
        {"transports": ["websocket"]},
        {"transports": ["upgrade"]},
        {"origin": f"http://{servers.NAME}"},
    ):
        result = run_probe(**options)
        assert result["ok"], (options, result)
        assert (result["protocol"], result["ping_interval"]) == (own, 25)
    assert run_probe(protocol=3)["ok"]
    newest = run_probe(protocol=4)
    assert newest["ok"] == (own == 4)
    assert newest["code"] == ("unsupported_version" if own == 3 else "")


def test_detection_knows_it(netty):
    """It keeps to revision 3 whatever it is asked for, or has both."""
    found = passage.ask(passage.Question(servers.NAME, "127.0.0.1", netty[1]))
    assert (found.outcome, found.words) == ("passed", "")
