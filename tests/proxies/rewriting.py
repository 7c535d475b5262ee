# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody's configuration so that it runs here: its sockets, upstreams and files are others, its meaning is the same.

With regular expressions on the text, not with the readers that are on trial.
"""

from __future__ import annotations

import os
import re

from proxies.bench import free_port
from proxies.prediction import Request

_URL = r"(https?|wss?|h2c?)://(\[[^\]]*\]|[\w.-]+)(?::(\d+))?"
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "h2": 443, "h2c": 80}


class Rewriting:
    """One file of one kind: what it became, and what is to be asked of it.

    :param stub: a function: (host, port) of an upstream -> the port of the stub for it.
    """

    def __init__(self, kind, text, root, stub, certificate, authority):
        self.kind, self.root, self.stub = kind, root, stub
        (self.certificate, self.key), self.authority = certificate, authority
        self.ports = {}  # port in the file -> port here
        self.addresses = {}
        self.original = text
        self.names = self.find_names(text)
        self.paths = self.find_paths(text)
        self.text = getattr(self, f"rewrite_{kind}")(text.replace("\r\n", "\n").replace("\ufeff", ""))

    def port(self, text):
        return str(self.ports.setdefault(int(text), free_port()))

    def address(self, text):
        """An address of the file, which is not this host's: another one of loopback."""
        if text in ("", "*", "_default_", "0.0.0.0", "::", "[::]"):
            return text
        if text.startswith("["):
            return "[::1]"
        return self.addresses.setdefault(text, f"127.0.3.{len(self.addresses) + 1}")

    def upstream(self, host, port):
        return f"127.0.0.1:{self.stub(host.lower(), int(port))}"

    def url(self, match):
        scheme, host, port = match.groups()
        return f"{scheme}://{self.upstream(host, port or _PORTS[scheme])}"

    def requests(self):
        """Every name on every path of every socket, with an upgrade and without."""
        places = [("", port) for port in self.ports.values()]
        places += [(address, port) for address in self.addresses.values() for port in self.ports.values()]
        for address, port in places:
            for name in self.names:
                for path in self.paths:
                    for upgrade in (False, True):
                        request = Request(address or "127.0.2.1", int(port), name, path, upgrade)
                        request.connect = request.address
                        yield request

    @staticmethod
    def find_names(text):
        active = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        found = []
        for match in re.finditer(r"^\s*(?:server_name|ServerName|ServerAlias)\s+([^;\n]+)", active, re.M | re.I):
            found += match[1].split()
        for match in re.finditer(
            r"(?:hdr\w*\(host[^)]*\)|ssl_fc_sni|req_ssl_sni)\S*((?:[ \t]+[^\s}]+)+)", active, re.I
        ):
            found += [word.strip("\"'") for word in match[1].split() if not word.startswith("-")]
        plain = [
            re.sub(r"^(\w+://|\*\.|\.|~\^?)", "", item).split(":")[0].replace("\\", "").rstrip("$") for item in found
        ]
        good = [item.lower() for item in plain if re.fullmatch(r"[A-Za-z0-9][\w.-]*", item)]
        return [*list(dict.fromkeys(item for item in good if item not in ("if", "or")))[:5], "unknown.example.org"]

    @staticmethod
    def find_paths(text):
        active = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        found = re.findall(r"(?<![\w/:.*$}])(/[A-Za-z][\w./-]*)", active)
        fixed = ["/", "/socket.io/?EIO=4&transport=polling", "/confluence/x?a=%2Fb", "/nowhere/at/all"]
        literal = list(
            dict.fromkeys(item.rstrip("/") for item in found if not re.search(r"\.(pem|crt|key|log)$", item))
        )
        routes = [item for item in literal if not re.match(r"/(etc|var|usr|tmp|srv|opt|home|dev|run|mnt)\b", item)][:8]
        return list(dict.fromkeys([*fixed, *(form for item in routes for form in (item, item + "/x", item + "x"))]))

    # nginx

    def rewrite_nginx(self, text):
        pools = set(re.findall(r"^\s*upstream\s+(\S+)\s*\{", text, re.M))
        text = re.sub(r"(?m)^(\s*)#.*$", r"\1", text)
        text = re.sub(r"\b(access_log|error_log)\s[^;]*;", "", text)
        text = re.sub(r"\blisten\s+([^;]+);", self.listen_nginx, text)
        text = re.sub(r"\bssl_certificate\s+[^;]+;", f"ssl_certificate {self.certificate};", text)
        text = re.sub(r"\bssl_certificate_key\s+[^;]+;", f"ssl_certificate_key {self.key};", text)
        ca = r"\b(ssl_trusted_certificate|ssl_client_certificate|proxy_ssl_trusted_certificate)\s+[^;]+;"
        text = re.sub(ca, rf"\1 {self.authority};", text)
        gone = "ssl_dhparam|ssl_stapling\\w*|ssl_crl|ssl_password_file|resolver|auth_basic_user_file|\\w+_temp_path|user|pid"
        gone += "|load_module|worker_\\w+|daemon|lock_file|env|ssl_ecdh_curve|pcre_jit|thread_pool"
        text = re.sub(rf"(?<![\w$])(?:{gone})\s[^;{{}}]*;", "", text)
        text = re.sub(r"\b(proxy_cache_path|fastcgi_cache_path)\s+(\S+)", rf"\1 {self.root}/tmp/cache", text)
        text = re.sub(r"\b(fastcgi_pass|uwsgi_pass|scgi_pass|grpc_pass)\s+[^;$]+;", r"\1 127.0.0.1:9;", text)
        text = re.sub(r"\binclude\s+([^;]+);", self.include_nginx, text)
        text = re.sub(r"(?m)((?:^|(?<=[{;]))\s*)server\s+([^\s;{]+)([^;{]*);", self.member_nginx, text)

        def pass_on(match):
            return match[0] if match[2] in pools else f"proxy_pass {self.url(re.match(_URL, match[1]))}"

        return re.sub(r"\bproxy_pass\s+\"?((?:https?)://(\[[^\]]*\]|[\w.-]+)(?::\d+)?)(?=[/;$\s\"])\"?", pass_on, text)

    def listen_nginx(self, match):
        words = match[1].split()
        place = re.fullmatch(r"(?:(\[[^\]]*\]|[^:]*):)?(\d+)", words[0])
        if not place:
            return match[0] if words[0].startswith("unix:") else f"listen {self.address(words[0])}:{self.port('80')};"
        address = self.address(place[1]) + ":" if place[1] else ""
        options = [word for word in words[1:] if word not in ("spdy", "reuseport", "fastopen")]
        return f"listen {' '.join([address + self.port(place[2]), *options])};"

    def include_nginx(self, match):
        kept = {"mime.types": "types { text/html html; }\n", "proxy_params": "proxy_set_header Host $http_host;\n"}
        name = os.path.basename(match[1])
        if name not in kept:
            return ""
        path = f"{self.root}/etc/nginx/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(kept[name])
        return f"include {path};"

    def member_nginx(self, match):
        place = re.fullmatch(r"(\[[^\]]*\]|[\w.-]+)(?::(\d+))?", match[2])
        if not place:
            return match[0]
        options = re.sub(r"\b(resolve|sticky\S*|route=\S+|slow_start=\S+)", "", match[3])
        return f"{match[1]}server {self.upstream(place[1], place[2] or 80)}{options};"

    # Apache

    def rewrite_apache(self, text):
        text = re.sub(r"(?m)^\s*#.*$", "", text)
        text = re.sub(r"(?mi)^\s*(ErrorLog|CustomLog|TransferLog|RewriteLog\w*|ScriptLog|ForensicLog)\s.*$", "", text)
        text = re.sub(r"(?mi)^(\s*)Listen\s+(\S+)(.*)$", self.listen_apache, text)
        text = re.sub(r"(?mi)^(\s*)<VirtualHost\s+([^>]+)>", self.host_apache, text)
        text = re.sub(r"(?mi)^(\s*)SSLCertificateFile\s.*$", rf"\1SSLCertificateFile {self.certificate}", text)
        text = re.sub(r"(?mi)^(\s*)SSLCertificateKeyFile\s.*$", rf"\1SSLCertificateKeyFile {self.key}", text)
        ca = r"(?mi)^(\s*)(SSLCertificateChainFile|SSLCACertificateFile|SSLProxyCACertificateFile)\s.*$"
        text = re.sub(ca, rf"\1\2 {self.authority}", text)
        text = re.sub(
            r"(?mi)^\s*(SSLCACertificatePath|SSLCARevocation\w+|SSLOpenSSLConfCmd\s+DHParam\w*)\s.*$", "", text
        )
        text = re.sub(r"(?mi)^\s*(Include|IncludeOptional)\s.*$", "", text)
        text = re.sub(r"(?mi)^\s*NameVirtualHost\s.*$", "", text)
        line = r"(?mi)^\s*(ProxyPass|ProxyPassMatch|BalancerMember|<Proxy|RewriteRule|Define)\b(?!Reverse).*$"
        text = re.sub(line, self.target_apache, text)
        listens = "".join(f"Listen {port}\n" for port in self.ports.values() if port not in self.listening)
        return listens + text

    def target_apache(self, match):
        if match[1].lower() == "rewriterule" and not re.search(r"\[[^\]]*\bP\b[^\]]*\]|\bproxy\b", match[0]):
            return match[0]
        return re.sub(_URL, self.url, match[0])

    @property
    def listening(self):
        return self.__dict__.setdefault("_listening", set())

    def listen_apache(self, match):
        address, _colon, port = match[2].rpartition(":")
        self.listening.add(self.port(port))
        return (
            f"{match[1]}Listen {address + ':' if address and address in '0.0.0.0' else ''}{self.port(port)}{match[3]}"
        )

    def host_apache(self, match):
        found = []
        for word in match[2].split():
            place = re.fullmatch(r"(?:(\[[^\]]*\]|[^:]*):)?(\d+|\*)?", word)
            if not place or place[2] in (None, "*"):
                found.append(f"{self.address(word.rpartition(':')[0] or word)}:{self.port('80')}")
            else:
                found.append(f"{self.address(place[1] or '*')}:{self.port(place[2])}")
        return f"{match[1]}<VirtualHost {' '.join(found)}>"

    # HAProxy

    def rewrite_haproxy(self, text):
        gone = "maxconn|daemon|pidfile|user|group|chroot|stats\\s+socket|stats\\s+timeout|log|nbproc|nbthread|cpu-map|ca-base|crt-base"
        gone += "|errorfile|errorloc\\S*|hard-stop-after|ulimit-n|description|node|ssl-default-\\S+|ssl-server-verify|uid|gid"
        gone += "|server-state-\\S+|load-server-state\\S*|monitor\\s+fail|external-check|stats\\s+admin"
        text = re.sub(rf"(?m)^\s+(?:{gone})(?=\s|$).*$", "", text)
        text = re.sub(r"(?m)^\s*#.*$", "", text)
        text = re.sub(r"(?m)^(\s*bind\s+)(\S+)(.*)$", self.bind_haproxy, text)
        text = re.sub(r"(?m)^((?:frontend|listen)\s+\S+\s+)(\S*:\d+)(.*)$", self.bind_haproxy, text)
        server = r"(?m)^(\s*server\s+\S+\s+)((?:ipv4@)?[^\s:]+)(?::(\d+))?(\s.*)?$"
        return re.sub(server, self.server_haproxy, text)

    def bind_haproxy(self, match):
        places = []
        for place in match[2].split(","):
            found = re.fullmatch(r"(.*?):(\d+)", place.strip("\"'"))
            if not found:
                return match[0]
            address = found[1] if found[1] in ("", "*", "0.0.0.0", "::", "[::]") else self.address(found[1])
            places.append(f"{address}:{self.port(found[2])}")
        options = re.sub(r"\bcrt\s+\S+", f"crt {self.certificate}.both", match[3])
        options = re.sub(r"\bca-file\s+\S+", f"ca-file {self.authority}", options)
        options = re.sub(r"\b(crt-list|crl-file|process|npn)\s+\S+|\binterface\s+\S+", "", options)
        return match[1] + ",".join(places) + options

    def server_haproxy(self, match):
        options = re.sub(r"\bca-file\s+\S+", f"ca-file {self.authority}", match[4] or "")
        options = re.sub(r"\b(resolvers|init-addr|resolve-prefer|crt)\s+\S+", "", options)
        return f"{match[1]}{self.upstream(match[2], match[3] or 80)}{options}"
