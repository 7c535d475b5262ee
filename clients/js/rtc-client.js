// Copyright (c) 2026, the collab.rtc authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client of the RTC server. What the server promises is in docs/protocol.md, how to use this in docs/clients.md.
// It imports only the file beside it: socket.io-client's `io` is handed to it, from wherever the page or program has it.
import { Project, Refused, defer, readWait } from "./rtc-project.js";
export { Project, Refused };

/** @typedef {import("./rtc-project.js").Change} Change */
/** @typedef {import("./rtc-project.js").Listener} Listener */
/** @typedef {import("./rtc-project.js").Member} Member */
/** @typedef {import("./rtc-project.js").Pending} Pending */
/** @typedef {import("./rtc-project.js").Saved} Saved */
/** @typedef {import("./rtc-project.js").Snapshot} Snapshot */
/** @typedef {{state: "connecting" | "connected" | "away" | "closed", reason: string, seconds: number}} Status
 *    When away: `reason`, as `closing` or an error names it (a connection that just broke: `lost`), and seconds until
 *    the next try; after `disconnected` they are infinite. */

/**
 * @typedef {object} Options
 * @property {() => string | Promise<string>} token Makes a token; asked again when the server wants a new one.
 * @property {(status: Status) => void} [onStatus] Told of each change.
 * @property {number} [window] Changes of a project that are under way at the same time (16). With 1 they are kept in the
 *   order in which they were made even where the server has refused one for a moment.
 * @property {number} [patience] Seconds for each answer (20).
 * @property {number} [delay] Seconds (1); the first try after a lost connection comes within, later ones within twice as
 *   long each time, up to `mostDelay` (15). A server that restarts says when to come back itself.
 * @property {number} [mostDelay]
 * @property {object} [socket] Further options of socket.io-client, such as `transports` or `ca`.
 */

const EVENTS = ["change", "changes", "members", "presence"];


/** One connection, from CONNECT to its end. A server that says what is not in the contract is left. */
export class Connection {
  /** @param {any} socket of socket.io-client @param {number} patience milliseconds for each answer */
  constructor(socket, patience) {
    this.socket = socket;
    this.patience = patience;
    this.isOver = false;
    /** The reason that the server gave before it ended, if it gave one, and seconds until it wants to be asked again.
     *  @type {[string, number | null] | null} */
    this.closing = null;
    /** @type {ReturnType<typeof defer<void>>} */
    this.ended = defer();
    this.on("closing", (said) => { this.closing = [String(said.reason), readWait(said.retry_after)]; });
    socket.on("disconnect", () => this.end());
  }

  /** @param {string} event @param {(body: any) => void} take */
  on(event, take) {
    this.socket.on(event, (/** @type {any} */ body) => this.believe(() => take(body)));
  }

  /** @param {() => void} take */
  believe(take) {
    try {
      take();
    } catch (error) {
      console.error("the server says what is not in the contract: the connection ends", error);
      this.end();
    }
  }

  /** @returns {Promise<void>} rejected with Refused: `token_...`, `too_many` or `unreachable` */
  open() {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => fail(new Refused("unreachable", "no answer")), this.patience);
      const fail = (/** @type {Refused} */ why) => { clearTimeout(late); this.end(); reject(why); };
      this.socket.on("connect", () => { clearTimeout(late); resolve(); });
      this.socket.on("connect_error", (/** @type {any} */ error) => {
        const data = error.data || {};
        fail(new Refused(String(data.code || "unreachable"), error.message, data));
      });
      this.ended.promise.then(() => fail(new Refused("unreachable", "the connection broke before it was answered")));
      this.socket.connect();
    });
  }

  /** @param {string} event @param {object} body @param {(answer: any) => void} onAnswer not called once it has ended */
  ask(event, body, onAnswer) {
    if (this.isOver) return;
    this.socket.timeout(this.patience).emit(event, body, (/** @type {any} */ late, /** @type {any} */ answer) => {
      if (this.isOver) return;
      if (late) this.end(); // a server that takes longer counts as gone
      else this.believe(() => {
        if (typeof answer.ok !== "boolean") throw new TypeError("ok");
        onAnswer(answer);
      });
    });
  }

  /** @param {string} event @param {object} body @returns {Promise<any>} the answer; null: the connection ended before */
  call(event, body) {
    return Promise.race([
      new Promise((resolve) => this.ask(event, body, resolve)),
      this.ended.promise.then(() => null),
    ]);
  }

  end() {
    if (this.isOver) return;
    this.isOver = true;
    this.ended.resolve();
    this.socket.disconnect();
  }
}

/** A connection to one RTC server that comes back by itself until it is closed. */
export class Client {
  /** @param {(url: string, options: any) => any} io of socket.io-client 4
   *  @param {string} url as in `https://wiki.example.org:9083` @param {Options} options */
  constructor(io, url, { token, onStatus = () => {}, window = 16, patience = 20, delay = 1, mostDelay = 15, socket = {} }) {
    /** @internal @type {Connection | null} */
    this._connection = null;
    /** @internal @type {Map<string, Project>} */
    this._projects = new Map();
    this._window = window;
    this._make = (/** @type {string} */ bearer) => io(url, {
      ...socket,
      auth: { token: bearer },
      forceNew: true,
      autoConnect: false,
      reconnection: false, // the library's own coming back knows neither the server's spread nor fresh tokens
    });
    this._makeToken = token;
    this._token = "";
    this._onStatus = onStatus;
    this._patience = 1000 * patience;
    this._delay = delay;
    this._mostDelay = mostDelay;
    this._running = false;
    this._wasUsed = false;
    /** Ends a wait for the next try. */
    this._wake = () => {};
  }

  /** @returns {Promise<void>} when connected, however long the server is away; rejected with Refused when the first token is */
  connect() {
    if (this._wasUsed) return Promise.reject(new Error("connect() was called before: make another client"));
    this._wasUsed = this._running = true;
    return new Promise((resolve, reject) => this._run(resolve, reject));
  }

  /** Become a member. @param {string} name @param {Listener} listener
   *  @param {Saved} [saved] what `Project.save` gave before a restart of the page, with the state as it was then
   *  @returns {Promise<Project>} when all that was missed is there; rejected with Refused */
  async join(name, listener, saved) {
    if (!this._running) throw new Error("call connect() first");
    if (this._projects.has(name)) throw new Error(`${name} is joined already`);
    const project = new Project(this, name, listener, saved);
    this._projects.set(name, project);
    project._begin();
    await project._joined.promise;
    return project;
  }

  /** Try now and not later. After an administrator has ended the user's connections (`disconnected`) nothing is tried before
   *  the user wants it, and the page calls this. */
  comeBack() {
    this._wake();
  }

  /** End the connection. Changes that are not acknowledged are given up; see `Project.save`. */
  close() {
    if (!this._running) return;
    this._running = false;
    this._wake();
    if (this._connection) this._connection.end();
    for (const project of [...this._projects.values()]) project._end(new Refused("closed", "the client was closed"));
    this._tell("closed");
  }

  // --- coming back -------------------------------------------------------------------------

  /** @param {() => void} onFirst @param {(why: Error) => void} onRefused */
  async _run(onFirst, onRefused) {
    let failures = 0, isFirst = true;
    while (this._running) {
      this._tell("connecting");
      const hadToken = this._token !== "";
      let reason = "", wait = this._draw(failures);
      try {
        const connection = await this._open();
        failures = 0;
        if (isFirst) onFirst();
        isFirst = false;
        [reason, wait] = await this._serve(connection);
      } catch (error) {
        const why = /** @type {Refused} */ (error);
        reason = why.code;
        failures++;
        if (reason.startsWith("token_")) {
          this._token = "";
          if (hadToken) continue; // it has only expired: a new one is tried at once
          if (isFirst) {
            this._running = false;
            return onRefused(why);
          }
        }
      }
      if (!this._running) break;
      const { promise, resolve } = defer();
      const timer = wait === Infinity ? undefined : setTimeout(resolve, 1000 * wait); // which takes that for no time
      this._wake = () => { clearTimeout(timer); resolve(undefined); };
      this._tell("away", reason, wait);
      await promise;
    }
    if (isFirst) onRefused(new Refused("closed", "the client was closed"));
  }

  async _open() {
    if (!this._token) {
      try {
        this._token = await this._makeToken();
      } catch (error) {
        throw new Refused("no_token", `no token could be had: ${error}`);
      }
    }
    const connection = new Connection(this._make(this._token), this._patience);
    for (const event of EVENTS) {
      connection.on(event, (body) => {
        if (connection === this._connection) this._projects.get(body.project)?._take(event, body);
      });
    }
    await connection.open();
    if (this._running) return connection;
    connection.end();
    throw new Refused("closed", "the client was closed");
  }

  /** Until the connection ends. @param {Connection} connection
   *  @returns {Promise<[string, number]>} why it did, and seconds until the next try */
  async _serve(connection) {
    this._connection = connection;
    this._tell("connected");
    for (const project of [...this._projects.values()]) project._begin();
    await connection.ended.promise;
    this._connection = null;
    for (const project of this._projects.values()) project._pause();
    const [reason, told] = connection.closing || ["lost", null];
    if (reason === "token_expired") this._token = "";
    if (reason === "disconnected") return [reason, Infinity];
    return [reason, told || this._draw(0)]; // the server spreads its clients; what it leaves open is spread here
  }

  /** @param {number} failures */
  _draw(failures) {
    return Math.random() * Math.min(this._mostDelay, this._delay * 2 ** failures);
  }

  /** @param {Status["state"]} state */
  _tell(state, reason = "", seconds = 0) {
    try {
      this._onStatus({ state, reason, seconds });
    } catch (error) {
      console.error("onStatus failed", error);
    }
  }
}
