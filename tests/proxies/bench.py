# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of real proxy servers are made of: daemons, services behind them, certificates, clients."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon, registry

NAME = "wiki.example.com"
TIMEOUT = 20.0


def wait_for(condition, what):
    """Wait until a condition holds."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {TIMEOUT} s: {what}")


def free_port():
    """A port that nobody has on any address: a proxy of another test may have it on one that is not asked for."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return probe.getsockname()[1]


class Certificates:
    """An authority and what it issues, as PEM files."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.authority = self.directory / "ca.pem"
        self._openssl(
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=test authority",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        )

    def issue(self, name=NAME, days=10, begin=None, end=None):
        """Certificate and key for a name; ``begin`` and ``end`` are dates as openssl ca takes them."""
        stem = f"{name}-{days}-{end or ''}"
        certificate, key = self.directory / f"{stem}.pem", self.directory / f"{stem}.key"
        if certificate.exists():
            return str(certificate), str(key)
        (self.directory / "ext").write_text(f"subjectAltName=DNS:{name}\n")
        self._openssl(
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            f"/CN={name}",
            "-keyout",
            key.name,
            "-out",
            f"{stem}.csr",
        )
        self._openssl(
            "x509",
            "-req",
            "-in",
            f"{stem}.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-days",
            str(days),
            "-extfile",
            "ext",
            "-out",
            certificate.name,
        )
        return str(certificate), str(key)

    def issue_below(self, name):
        """Certificate and key of an authority below ours, and that authority's certificate."""
        (self.directory / "ca-ext").write_text("basicConstraints=critical,CA:TRUE\n")
        (self.directory / "below-ext").write_text(f"subjectAltName=DNS:{name}\n")
        signer = "ca"
        for stem, subject, extensions in (("between", "between", "ca-ext"), ("below", name, "below-ext")):
            self._openssl(
                *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-subj", f"/CN={subject}", "-keyout", f"{stem}.key", "-out", f"{stem}.csr"),
            )
            self._openssl(
                *(
                    "x509",
                    "-req",
                    "-in",
                    f"{stem}.csr",
                    "-CA",
                    f"{signer}.pem",
                    "-CAkey",
                    f"{signer}.key",
                    "-days",
                    "9",
                ),
                *("-extfile", extensions, "-out", f"{stem}.pem"),
            )
            signer = "between"
        return tuple(str(self.directory / item) for item in ("below.pem", "below.key", "between.pem"))

    def context(self):
        """What a client needs to trust them."""
        return ssl.create_default_context(cafile=str(self.authority))

    def _openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.directory, check=True, capture_output=True)


def accept_key(key):
    """RFC 6455, section 4.2.2."""
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())


class Upstream:
    """A service that answers with the request as it arrived, and echoes what comes over a WebSocket."""

    def __init__(self, address="127.0.0.1", port=0, certificate=None, name="one", websockets=True):
        self.connections = connections = []
        port = port or free_port()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                connections.append(self.connection)

            def do_GET(self):
                upgrade = self.headers.get("Upgrade", "")
                if websockets and upgrade.lower() == "websocket":
                    self.connection.sendall(
                        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        b"Sec-WebSocket-Accept: " + accept_key(self.headers["Sec-WebSocket-Key"]) + b"\r\n\r\n"
                    )
                    while True:
                        data = self.connection.recv(4096)
                        if not data:
                            break
                        self.connection.sendall(data)
                    self.close_connection = True
                    return
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                answer = json.dumps(
                    {
                        "name": name,
                        "path": self.path,
                        "length": len(body),
                        "peer": self.client_address[1],
                        "headers": {key.lower(): value for key, value in self.headers.items()},
                    }
                ).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

            def handle_error(self, request, client_address):
                """A proxy that closes a connection is no error."""

        self.server = Server((address, port), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address, self.port = address, self.server.server_address[1]
        self.scheme = "https" if certificate else "http"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def entry(self, **more):
        return {"scheme": self.scheme, "host": self.address, "port": self.port, **more}

    def close(self):
        """As when the process ends: connections that are kept alive end too."""
        self.server.shutdown()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server.server_close()


class Client:
    """A browser's way to a virtual host: by address, with its name in Host and SNI."""

    def __init__(self, address, port, context=None, name=NAME):
        self.address, self.port, self.context, self.name = address, port, context, name

    def socket(self):
        raw = socket.create_connection((self.address, self.port), TIMEOUT)
        return self.context.wrap_socket(raw, server_hostname=self.name) if self.context else raw

    def request(self, path="/", method="GET", body=None, headers=None):
        connection = http.client.HTTPConnection(self.name, self.port)
        connection.sock = self.socket()
        connection.request(method, path, body, {"Host": self.host(), **(headers or {})})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response, data

    def json(self, path="/", **options):
        response, data = self.request(path, **options)
        assert response.status == 200, (response.status, data[:300])
        return json.loads(data)

    def several(self, number, path="/"):
        """The answers to requests on one connection."""
        connection = http.client.HTTPConnection(self.name, self.port)
        connection.sock = self.socket()
        answers = []
        for _ in range(number):
            connection.request("GET", path, headers={"Host": self.host()})
            answers.append(json.loads(connection.getresponse().read()))
        connection.close()
        return answers

    def host(self):
        return f"{self.name}:{self.port}"

    def websocket(self, path="/socket.io/?EIO=4&transport=websocket"):
        """An upgraded connection; echo proves both directions."""
        sock = self.socket()
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {self.host()}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            part = sock.recv(4096)
            assert part, head
            head += part
        assert b" 101 " in head.split(b"\r\n")[0], head
        return sock


def echo(sock, data=b"hello"):
    sock.sendall(data)
    got = b""
    while len(got) < len(data):
        part = sock.recv(4096)
        assert part, "the connection was closed"
        got += part
    return got == data


class Daemon:
    """A proxy server whose files are below a directory; it runs in the foreground."""

    def __init__(self, kind, program, root):
        self.kind, self.program, self.root = kind, program, Path(root)
        self.process = None
        self.master = 0
        self.environment = dict(os.environ)
        getattr(self, f"_lay_out_{kind}")()

    @property
    def config(self):
        names = {"nginx": "nginx/nginx.conf", "apache": "apache2/apache2.conf", "haproxy": "haproxy/haproxy.cfg"}
        return self.root / "etc" / names[self.kind]

    def write(self, path, text):
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return str(target)

    def _lay_out_nginx(self):
        root = self.root
        for name in ("conf.d", "sites-available", "sites-enabled"):
            (root / "etc/nginx" / name).mkdir(parents=True)
        for name in ("run", "log", "tmp"):
            (root / name).mkdir()
        temporary = "".join(
            f"    {name}_temp_path {root}/tmp/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        self.write(
            "/etc/nginx/nginx.conf",
            f"user root;\npid {root}/run/nginx.pid;\nerror_log {root}/log/error.log;\nevents {{}}\nhttp {{\n{temporary}"
            f"    access_log off;\n    include {root}/etc/nginx/conf.d/*.conf;\n"
            f"    include {root}/etc/nginx/sites-enabled/*;\n}}\n",
        )

    def _lay_out_apache(self):
        root = self.root
        shutil.copytree("/etc/apache2", root / "etc/apache2", symlinks=True)
        for directory in ("sites-enabled", "conf-enabled"):
            for item in (root / "etc/apache2" / directory).iterdir():
                item.unlink()
        for name in ("run", "log", "lock"):
            (root / name).mkdir()
        self.write("/etc/apache2/ports.conf", f"Listen 127.0.9.1:{free_port()}\n")  # it does not run without any
        with open(root / "etc/apache2/apache2.conf", "a") as file:
            file.write("ServerName localhost\n")
        self.write(
            "/etc/apache2/envvars",
            "export APACHE_RUN_USER=www-data\nexport APACHE_RUN_GROUP=www-data\n"
            f"export APACHE_PID_FILE={root}/run/apache2.pid\nexport APACHE_RUN_DIR={root}/run\n"
            f"export APACHE_LOCK_DIR={root}/lock\nexport APACHE_LOG_DIR={root}/log\n",
        )
        self.environment.update(
            APACHE_RUN_USER="www-data",
            APACHE_RUN_GROUP="www-data",
            APACHE_PID_FILE=f"{root}/run/apache2.pid",
            APACHE_RUN_DIR=f"{root}/run",
            APACHE_LOCK_DIR=f"{root}/lock",
            APACHE_LOG_DIR=f"{root}/log",
        )

    def _lay_out_haproxy(self):
        (self.root / "run").mkdir(parents=True)
        self.write(
            "/etc/haproxy/haproxy.cfg",
            "global\n    maxconn 200\n\ndefaults\n    mode http\n    timeout connect 5s\n    timeout client 50s\n"
            "    timeout server 50s\n",
        )

    def pid_file(self):
        return self.root / "run" / {"apache": "apache2.pid"}.get(self.kind, f"{self.kind}.pid")

    def start(self, background=False, master=True, with_pid_file=True):
        """Run it in the foreground, or as somebody does who types its command; HAProxy also without a master."""
        pid_file = self.pid_file()
        pid = ["-p", str(pid_file)] * with_pid_file
        argv = {
            "nginx": ["-c", str(self.config), *([] if background else ["-g", "daemon off;"])],
            "apache": self.argv() or [
                *(["-k", "start"] if background else ["-DFOREGROUND"]), "-d", str(self.config.parent), "-f", str(self.config),
            ],
            "haproxy": [*["-W"] * master, *["-D"] * background, "-f", str(self.config), *pid],
        }[self.kind]  # fmt: skip
        argv.insert(0, self.program)
        with open(self.root / "output.log", "ab") as log:
            # Apart from us: httpd with processes (prefork) ends all of its group when it ends.
            self.process = subprocess.Popen(argv, env=self.environment, stdout=log, stderr=log, start_new_session=True)
        if background:
            assert self.process.wait(TIMEOUT) == 0, (self.root / "output.log").read_text()
            self.process = None
        self.master = wait_for(self._up, f"{self.kind}: {(self.root / 'output.log').read_text()}")
        return self

    def argv(self):
        """Other arguments of httpd."""
        return []

    def _up(self):
        assert self.process is None or self.process.poll() is None, (self.root / "output.log").read_text()
        server = registry.make_backend(self.kind, str(self.root))
        master = server.find_master()  # 0 while the file is still empty
        return master if master and server.loaded(master) else 0

    def log(self):
        paths = [self.root / "output.log", *(self.root / "log").glob("*")]
        return "\n".join(path.read_text() for path in paths if path.exists())

    def stop(self):
        names = registry.make_backend(self.kind, str(self.root)).programs
        running = daemon.read_pid(str(self.pid_file()), names)  # another one than was started, after some reloads
        if running and (self.process is None or running != self.process.pid):
            os.kill(running, signal.SIGTERM)
            wait_for(lambda: not daemon.name_of(running), f"{self.kind} ends")
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
