# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three ways to the server: plain, TLS that it ends itself, and TLS ended by nginx on the same core, with the server
behind it."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from servers import CACHE, Kind, Running, UnavailableError, free_port, generator, running, serving

# The upgrade as in the guide of nginx (WebSocket proxying); upgraded connections are never reused, others are.
_NGINX = """
daemon off;
worker_processes 1;
error_log stderr warn;
pid {folder}/nginx.pid;
{user}
events {{ worker_connections 40000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_header {{ default upgrade; '' ''; }}
  upstream rtc {{ server 127.0.0.1:{upstream}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port} ssl backlog=1024;
    ssl_certificate {folder}/tls.crt;
    ssl_certificate_key {folder}/tls.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{
      proxy_pass http://rtc;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_header;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_buffering off;
      proxy_read_timeout 120s;
    }}
  }}
}}
"""


def write_certificate(folder: Path) -> None:
    """``tls.crt`` and ``tls.key``: for 127.0.0.1, self-signed, ECDSA P-256, for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = folder / "tls.key"
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _nginx_program() -> str:
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not found:
        raise UnavailableError("nginx is not installed here (Debian package nginx-light)")
    return found


def _children(parent: int) -> list[int]:
    """Ids of a process's children (proc(5): the fourth field of stat is the parent)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it may end meanwhile
            if int(path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]) == parent:
                found.append(int(path.parent.name))
    return found


def _tls_section(folder: Path) -> str:
    write_certificate(folder)
    return f'[tls]\ncertificate = "{folder}/tls.crt"\nkey = "{folder}/tls.key"\n'


@contextlib.contextmanager
def by_server(kind: Kind, loop: str) -> Iterator[Running]:
    """A server that ends TLS itself."""
    with running(kind, loop, _tls_section) as run:
        run.tls = True
        yield run


@contextlib.contextmanager
def by_nginx(kind: Kind, loop: str) -> Iterator[Running]:
    """A plain server behind an nginx that ends TLS; the CPU of both counts."""
    program, port = _nginx_program(), free_port()
    with running(kind, loop) as run, tempfile.TemporaryDirectory(dir=CACHE, prefix="nginx-") as name:
        folder = Path(name)
        write_certificate(folder)
        user = "user root;" if os.geteuid() == 0 else ""  # else the worker cannot enter this folder
        config = folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=folder, user=user, upstream=run.ports[0], port=port), encoding="utf-8")
        with serving("nginx", [program, "-p", name, "-c", str(config)], port, folder / "log") as master:
            give_up = time.monotonic() + 20
            while not (workers := _children(master)):  # the master listens before it has a worker
                if time.monotonic() > give_up:
                    raise UnavailableError(
                        f"nginx has no worker: {(folder / 'log').read_text(errors='replace')[-400:]}"
                    )
                time.sleep(0.05)
            yield Running(kind, [*run.processes, master, *workers], port, tls=True)


# Title, and how a server is started with an event loop so that it is reached in this way.
WAYS: dict[str, tuple[str, Callable[[Kind, str], contextlib.AbstractContextManager[Running]]]] = {
    "plain": ("plain", running),
    "tls_server": ("TLS ended by the server", by_server),
    "tls_nginx": ("TLS ended by nginx", by_nginx),
}


def ways() -> tuple[list[str], list[str]]:
    """Ways that can be had here, and why the others cannot."""
    try:
        generator(tls=True)
    except UnavailableError as exc:
        why = " ".join(str(exc).split())
        return [], [f"TLS: the generator needs OpenSSL's headers (Debian package libssl-dev): {why}"]
    try:
        _nginx_program()
    except UnavailableError as exc:
        return [way for way in WAYS if way != "tls_nginx"], [f"TLS ended by nginx: {exc}"]
    return list(WAYS), []
