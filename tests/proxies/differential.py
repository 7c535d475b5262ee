# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One configuration file of somebody, loaded into a real server and read: what both say of the same requests."""

from __future__ import annotations

import collections
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from proxies.bench import Certificates
from proxies.prediction import Kept, Untold, predict
from proxies.rewriting import Rewriting
from proxies.stubs import Stub, ask

from ansible_collections.collab.rtc.plugins.module_utils._proxy import registry

MODULES = (
    "alias auth_basic authn_core authn_file authz_core authz_host authz_user deflate dir env expires filter headers",
    "lbmethod_bybusyness lbmethod_byrequests mime proxy proxy_ajp proxy_balancer proxy_fcgi proxy_http",
    "proxy_wstunnel reqtimeout rewrite setenvif slotmem_shm socache_shmcb ssl status",
)


@dataclass
class Outcome:
    """What came of one file."""

    path: str
    refused: str = ""  # why the server does not load it
    requests: int = 0
    passed: int = 0
    kept: int = 0
    untold: collections.Counter = field(default_factory=collections.Counter)
    held: collections.Counter = field(default_factory=collections.Counter)
    disagreements: list = field(default_factory=list)


class Differential:
    """Compares files, with stubs that are there for all of them."""

    def __init__(self, certificates: Certificates, make_daemon):
        self.certificates, self.make_daemon = certificates, make_daemon
        self.pair = certificates.issue("*.example.com")
        with open(f"{self.pair[0]}.both", "w", encoding="utf-8") as file:
            file.write("".join(Path(path).read_text() for path in self.pair))
        self.stubs = {}

    def close(self):
        for stub in self.stubs.values():
            stub.close()

    def stub(self, host, port):
        if (host, port) not in self.stubs:
            self.stubs[host, port] = Stub(self.pair)
        return self.stubs[host, port].port

    def compare(self, kind, path):
        """Load a file, ask, read, and compare."""
        outcome = Outcome(path.name)
        server = self.make_daemon(kind)
        text = path.read_text(errors="surrogateescape")
        rewriting = Rewriting(kind, text, server.root, self.stub, self.pair, str(self.certificates.authority))
        try:
            self.place(server, rewriting)
            outcome.refused = self.find_refusal(server)
            if not outcome.refused:
                server.start()
                self.ask_all(server, rewriting, outcome)
        finally:
            server.stop()
        return outcome

    def place(self, server, rewriting):
        """Where such a file stands: a main file, or one that it includes."""
        text = rewriting.text
        if server.kind == "haproxy":
            if not re.search(r"(?m)^global", text):
                text = "global\n    maxconn 200\n" + text
            server.config.write_text(text, errors="surrogateescape")
        elif server.kind == "nginx":
            if re.search(r"(?m)^\s*(http|stream|events|rtmp)\s*\{", text):
                lines = server.config.read_text().splitlines()
                temporary = "\n".join(line for line in lines if "_temp_path" in line)
                text = re.sub(r"\bhttp\s*\{", f"http {{\n{temporary}\naccess_log off;", text, count=1)
                events = "" if re.search(r"\bevents\s*\{", text) else "events {}\n"
                text = "\n".join(lines[:3]) + "\n" + events + text
                server.config.write_text(text, errors="surrogateescape")
            else:
                (server.root / "etc/nginx/conf.d/theirs.conf").write_text(text, errors="surrogateescape")
        else:
            for name in " ".join(MODULES).split():
                for suffix in ("load", "conf"):
                    link = server.root / f"etc/apache2/mods-enabled/{name}.{suffix}"
                    if not link.is_symlink() and (server.root / f"etc/apache2/mods-available/{name}.{suffix}").exists():
                        link.symlink_to(f"../mods-available/{name}.{suffix}")
            (server.root / "etc/apache2/sites-enabled/theirs.conf").write_text(text, errors="surrogateescape")

    def find_refusal(self, server):
        """Why the server's own program does not take it."""
        backend = registry.make_backend(server.kind, str(server.root))
        argv, environment = backend.test_command()
        done = subprocess.run(
            argv, env={**server.environment, **environment}, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return ""
        words = [
            line
            for line in (done.stderr + done.stdout).splitlines()
            if re.search(r"emerg|ALERT|AH\d+|rror|nvalid", line)
        ]
        line = (words or (done.stderr + done.stdout).splitlines() or ["no words"])[0]
        return re.sub(rf"\S*{re.escape(str(server.root))}\S*|\[\w+\]\s*|\(\d+\)\s*:?", "", line).strip(" :")[:110]

    def ask_all(self, server, rewriting, outcome):
        read = registry.make_backend(server.kind, str(server.root)).read()
        context = self.certificates.context()
        context.check_hostname = False
        for request in rewriting.requests():
            tls = any(item.tls for host in read.hosts for item in host.listens if item.takes(request.port))
            try:
                answer = ask(request, context if tls else None)
            except OSError as exc:
                if isinstance(exc, ConnectionRefusedError):
                    continue  # not every port of the file is open on every address
                answer = None
            outcome.requests += 1
            self.judge(server.kind, predict(server.kind, read.hosts, request), request, answer, outcome)

    def judge(self, kind, told, request, answer, outcome):
        what = f"{request.name}:{request.port}{request.path}{' upgrade' * request.upgrade}"
        if isinstance(told, Untold):
            outcome.untold[told.reason] += 1
        elif answer is None:
            outcome.disagreements.append(f"{what}: {told}, and no answer")
        elif isinstance(told, Kept):
            outcome.kept += 1
            if answer.port:
                outcome.disagreements.append(f"{what}: kept, and {answer}")
        elif not answer.port:
            outcome.disagreements.append(f"{what}: {told}, and {answer}")
        else:
            outcome.passed += 1
            same = answer.port in told.ports and answer.upgraded == told.upgrade
            if not same or (told.path is not None and told.path != answer.path):
                outcome.disagreements.append(f"{what}: {told}, and {answer}")
