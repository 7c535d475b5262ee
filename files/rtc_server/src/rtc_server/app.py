# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wiring: configuration to a running server, signals, health."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import faulthandler
import gc
import json
import logging
import os
import signal
import ssl
import sys
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from . import __version__, sockets, systemd
from .admin.opening import AddRoutes, Admin, open_admin
from .admin.path import make_context
from .auth import Tokens
from .capacity import ASIDE, LEAST, Capacity, count_open, needed_descriptors, plan_capacity, read_limit
from .checking import add_page
from .config import AdminSettings, Config, ConfigError, LogSettings, TlsSettings, read_keys
from .engine.takeover import check_aiohttp, correct
from .given_files import read_given
from .journal import Journal, JournalError, JournalLimits
from .journal.sqlite import SqliteJournal
from .listener import Listener
from .memory import Memory
from .peers import Peers, Times
from .reload import Reloading
from .service import Service
from .store_postgres.address import parse_address

if TYPE_CHECKING:
    from .store_postgres.connections import Store

logger = logging.getLogger(__name__)

_HEADER_BYTES = 40 << 10  # of a line of a request: cookies go to every port of a host, and applications take 32 kB


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """Not what is wrong with a request: anybody can send one, and its address may hold a token."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, (HttpProcessingError, ConnectionError))


def set_up_logging(options: LogSettings) -> None:
    """Log to standard error; the journal of systemd adds time and unit."""
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_JsonLines() if options.format == "json" else plain)
    handler.addFilter(_is_worth_logging)
    logging.basicConfig(level=options.level.upper(), handlers=[handler], force=True)


def make_tls_context(options: TlsSettings) -> ssl.SSLContext | None:
    """TLS 1.2 or later, or None for plain HTTP. Raises ConfigError."""
    if not options.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        for name in (options.certificate, options.key):
            read_given(name)  # OpenSSL would wait for a pipe
        # With a password, as OpenSSL would ask somebody for that of a key that has one, and the loop would wait.
        context.load_cert_chain(options.certificate, options.key, password="")
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError([f"{options.certificate}, {options.key}: tls: cannot be used: {exc}"]) from exc
    return context


class ReloadableTls:
    """TLS whose certificate and key can be read anew while clients are connected; only new connections get them."""

    def __init__(self, options: TlsSettings) -> None:
        self._newest = make_tls_context(options)
        self.context = make_tls_context(options)  # what the listening socket was given and keeps
        if self.context is not None:
            # Called for every client, also for one that names no server (ssl.SSLContext.sni_callback).
            self.context.sni_callback = self._present

    def _present(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str, _context: ssl.SSLContext) -> None:
        if self._newest is not None:
            connection.context = self._newest

    def present(self, newest: ssl.SSLContext | None) -> None:
        """What connections from now on get."""
        self._newest = newest


def check_authority(admin: AdminSettings) -> None:
    """Raises ConfigError when the way of users could not be tried with ``admin.ca``."""
    try:
        make_context(admin.ca)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError([f"{admin.ca}: admin.ca: cannot be used: {exc}"]) from exc


def make_tokens(config: Config) -> Tokens:
    """Raises ConfigError when a key cannot be read or used."""
    keys = read_keys(config.token)
    token = config.token
    try:
        return Tokens(keys, token.algorithm, token.audience, token.leeway)
    except Exception as exc:  # PyJWT and cryptography raise many kinds
        names = ", ".join(token.keys)
        raise ConfigError([f"{names}: token.keys: no key of {token.algorithm}: {type(exc).__name__}"]) from exc


def make_journal_limits(config: Config) -> JournalLimits:
    """What the journal may take, and for how long it keeps ids."""
    return JournalLimits(config.limits.project_bytes, config.limits.reserve_bytes, config.journal.keep_ids_days)


def make_store(config: Config) -> Store:
    """The store that is configured. Raises JournalError when its driver is missing."""
    from .store_postgres.connections import Store

    journal = config.journal
    return Store(parse_address(journal.store_url), journal.store_ca, journal.store_password)


def look_at_store(config: Config) -> dict[str, Any] | None:
    """What the store is found to be, once its connection, version and rights were tried; None: there is none."""
    if not config.journal.store_url:
        return None
    found: dict[str, Any] = {"fault": "", "kind": "", "needs": 0, "risks": {}, "projects": -1, "ahead": 0.0}
    try:
        from .store_postgres.checking import check_store

        found.update(dataclasses.asdict(asyncio.run(check_store(make_store(config)))))
    except JournalError as exc:
        found.update(fault=str(exc), kind=getattr(exc, "kind", ""), needs=getattr(exc, "needs", 0))
    return found


def make_journal(config: Config) -> Journal:
    """The embedded journal, or the one on a store if one is configured. Raises JournalError when its driver is
    missing."""
    if not config.journal.store_url:
        return SqliteJournal(config.journal.path, limits=make_journal_limits(config))
    from .store_postgres.journal import PostgresJournal

    return PostgresJournal(make_store(config), make_journal_limits(config))


def attend(service: Service) -> None:
    """Let the projects hear what other servers do, where the journal is shared."""
    journal = service.journal
    if hasattr(journal, "attend") and hasattr(journal, "catch_up"):
        company = service.projects.company = journal.attend(service.projects)
        service.projects.catch_up = journal.catch_up
        company.keys = service.tokens.list_fingerprints()


def make_app(service: Service, *middlewares: Any) -> web.Application:
    """The HTTP application: Socket.IO, health, and the check page."""
    started = time.monotonic()

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "version": __version__, "uptime": round(time.monotonic() - started)})

    async def readyz(_request: web.Request) -> web.Response:
        journal = service.journal
        why = "draining" if service.draining else "disk" if journal.is_disk_full else ""
        why = why or ("journal" if journal.fault is not None else "")
        if why:  # the cause is in the log: this answer may be read by anybody
            return web.json_response({"status": "not ready", "reason": why}, status=503)
        return web.json_response({"status": "ready"})

    app = web.Application(middlewares=middlewares)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    add_page(app)
    service.attach(app, service.config.server.path)
    return app


class Door:
    """The listening sockets of a service, and how many connections its limits and the descriptors allow.

    Raises ConfigError when there are too few descriptors for anything. To be made when everything else is open.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        limits = service.config.limits
        self._used = count_open()
        capacity = self._claim_descriptors()
        if capacity.sockets < LEAST:
            raise ConfigError([f"limits.connections: the process may open {read_limit()} files (LimitNOFILE= of "
                               f"the unit, ulimit -n), and needs {self._used + ASIDE + LEAST} at least"])  # fmt: skip
        self.peers = Peers(
            self._plan_times(),
            self._measure,
            limits.pending_per_address,
            limits.pending_bytes,
            service.address_of,
            service.is_proxy,
            service.rarely,
            service.turns,
        )
        self.listener = Listener(self.peers, service.rarely)

    def _claim_descriptors(self) -> Capacity:
        """As many as the limits need; that there are fewer is said."""
        limits = self._service.config.limits
        needed = needed_descriptors(self._used, limits.connections, limits.pending)
        limit = read_limit(needed_descriptors(self._used, limits.connections, limits.pending, 2))
        capacity = self._measure()
        if limit < needed and capacity.sockets >= LEAST:
            logger.warning(
                "the process may open %d files: so there can be %d connections with a token and %d without, not %d and "
                "%d; set LimitNOFILE=%d in the unit, or lower limits.connections and limits.pending", limit,
                capacity.sessions, capacity.strangers, limits.connections, limits.pending, needed,
            )  # fmt: skip
        return capacity

    def _measure(self) -> Capacity:
        """Anew each time, as an administrator can change the limit of a running process (prlimit(1))."""
        limits, service = self._service.config.limits, self._service
        capacity = plan_capacity(read_limit(), self._used, limits.connections, limits.pending)
        service.max_sessions = max(1, capacity.sessions)
        service.pending.total = capacity.strangers
        return capacity

    def _plan_times(self) -> Times:
        config = self._service.config
        seconds = config.limits.connect_seconds
        return Times(seconds, config.heartbeat.interval + config.heartbeat.timeout + seconds)

    def adapt(self) -> None:
        """Take what the service's configuration has become. Deadlines that were set stay, and who is one too many goes
        with the next look at them."""
        limits, peers = self._service.config.limits, self.peers
        self._claim_descriptors()
        peers.times, peers.held_bytes = self._plan_times(), limits.pending_bytes
        peers.strangers.each, peers.strangers.patience = limits.pending_per_address, peers.times.stranger / 5

    async def open(self, runner: web.AppRunner, tls: ssl.SSLContext | None) -> None:
        """Listen, and hand connections to the runner's server. Raises ConfigError, OSError."""
        self._listen()
        await runner.setup()
        assert runner.server is not None
        self.peers.begin(correct(runner.server))
        self.listener.begin(tls)

    def _listen(self) -> None:
        """With the sockets that systemd hands over, else with own ones."""
        server = self._service.config.server
        given, unit = sockets.take(), os.environ.get(sockets.UNIT_VARIABLE, "")
        wrong = sockets.find_difference(server.address, server.port, sockets.name_places(given)) if given else ""
        if wrong:
            raise ConfigError([f"{unit or 'systemd'} listens on {wrong} (server.address, server.port): let the "
                               "collection write both, or change ListenStream= there, too, then systemctl "
                               "daemon-reload, and stop and start the service"])  # fmt: skip
        if unit and not given:  # the unit has no network: own sockets would be nobody's to reach
            where = sockets.format_places(sockets.list_places(server.address, server.port))
            raise ConfigError([f"{unit} does not listen on {where}: see systemctl status {unit}, and who has the port: "
                               "ss -tlnp"])  # fmt: skip
        if given:
            self.listener.adopt(given)
        else:
            self.listener.listen(server.address, server.port)


def make_runner(service: Service, peers: Peers, shutdown_timeout: float = 2.0) -> web.AppRunner:
    """The HTTP server. Its connections are those of the peers."""
    return web.AppRunner(
        make_app(service, peers.middleware),
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,
        shutdown_timeout=shutdown_timeout,
        auto_decompress=False,  # of a client's body; nobody asks for that, and a small body may become a huge one
        max_line_size=_HEADER_BYTES,
        max_field_size=_HEADER_BYTES,
    )


def make_reloading(service: Service, door: Door, tls: ReloadableTls) -> Reloading:
    """What SIGHUP does."""

    def prepare(config: Config) -> tuple[Tokens, ssl.SSLContext | None]:
        return make_tokens(config), make_tls_context(config.tls)

    def apply(config: Config, prepared: tuple[Tokens, ssl.SSLContext | None]) -> None:
        tokens, context = prepared
        tls.present(context)
        service.adapt(config, tokens)
        service.journal.set_limits(make_journal_limits(config))
        door.adapt()
        logging.getLogger().setLevel(config.log.level.upper())

    return Reloading(service.config, prepare, apply)


def _tune() -> None:
    # What lives now lives as long as the process, so collections need not look at it. 5,000 objects take them 3 ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 200, 100)
    sys.setswitchinterval(0.001)  # a busy loop would keep the journal's thread waiting five times as long


def find_admin_routes(config: Config) -> list[AddRoutes]:
    """What administrators get beside the panel. Nobody else needs its package, which takes memory."""
    if not config.admin.listen:
        return []
    try:
        from .metrics import add_metrics
    except ImportError as exc:
        logger.warning("there is no /metrics: %s", exc)
        return []
    return [add_metrics]


async def serve(config: Config, journal: Journal | None = None) -> None:
    """Run until SIGTERM or SIGINT. Raises ConfigError, JournalError, OSError before it is ready."""
    tokens = make_tokens(config)
    tls = ReloadableTls(config.tls)
    journal = journal or make_journal(config)
    service = Service(config, tokens, journal)
    attend(service)
    await journal.start(service.projects.on_outcomes)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    door: Door | None = None
    runner: web.AppRunner | None = None
    admin = Admin()
    try:
        door = Door(service)
        runner = make_runner(service, door.peers)
        await door.open(runner, tls.context)
        listen = config.server
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        reloading = make_reloading(service, door, tls)
        loop.add_signal_handler(signal.SIGHUP, reloading.reload)
        scheme = "https" if tls.context else "http"
        kind = type(loop).__module__.partition(".")[0]  # uvloop or asyncio
        logger.info("rtc-server %s listens on %s://%s:%d (%s)", __version__, scheme, listen.address, listen.port, kind)
        _tune()
        peers = door.peers
        memory = Memory(lambda: peers.closed, lambda: len(peers))
        memory.begin()
        # systemd starts this process again when it ends, which others would not.
        admin = await open_admin(
            service, stop.set if "INVOCATION_ID" in os.environ else None, _is_worth_logging, *find_admin_routes(config)
        )
        reloading.tell()
        systemd.notify("READY=1")
        watching = asyncio.ensure_future(systemd.watchdog(lambda: journal.alive))
        await stop.wait()
        systemd.notify("STOPPING=1")
        logger.info("draining")
        watching.cancel()
        memory.end()
        await admin.close()  # nobody resumes what is being stopped
        door.listener.leave()
        await service.drain()
    finally:
        if door is not None:
            door.listener.stop()
        if runner is not None:
            await runner.cleanup()
        if door is not None:
            door.peers.end()
        await admin.close()
        await journal.close()
    logger.info("stopped")


def _advise(error: OSError) -> str:
    """What to do where the server cannot listen."""
    if error.errno == errno.EADDRINUSE:
        return "see who does: ss -tlnp"
    if error.errno == errno.EACCES:
        return "ports below 1024 are for root: choose another in server.port"
    return "server.address must be an address of this machine: ip address lists them"


def run(config: Config, journal: Journal | None = None) -> int:
    """Serve with the configured event loop, and with the configured journal unless one is given; the exit status."""
    set_up_logging(config.log)
    faulthandler.enable()  # the watchdog of systemd ends a hung process by SIGABRT; then the log has where it hung
    unfit = check_aiohttp()
    if unfit:
        print(unfit, file=sys.stderr)
        return 1
    factory: Any = None
    if config.server.loop != "asyncio":
        try:
            import uvloop

            factory = uvloop.new_event_loop
        except ImportError:
            if config.server.loop == "uvloop":
                print("server.loop: uvloop is not installed; use asyncio or auto", file=sys.stderr)
                return 1
    loop = factory() if factory else asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(serve(config, journal))
    except (ConfigError, JournalError) as exc:
        print(exc, file=sys.stderr)
        return 1
    except OSError as exc:
        where = f"{config.server.address} port {config.server.port}"
        print(f"cannot listen on {where}: {exc.strerror or exc}; {_advise(exc)}", file=sys.stderr)
        return 1
    finally:
        loop.close()
    return 0
