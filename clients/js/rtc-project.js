// Copyright (c) 2026, the collab.rtc authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// One project as its member sees it: the order of changes, what is to be sent, who is there. For rtc-client.js.

/** @typedef {import("./rtc-client.js").Client} Client */
/** @typedef {import("./rtc-client.js").Connection} Connection */
/** @typedef {{project: string, revision: number, id: string, user: string, time: number, data: any}} Change
 *    A change as every member gets it. `time`: milliseconds since 1970. */
/** @typedef {{member: string, user: string, name: string, right: "edit" | "view"}} Member One connection of a user. */
/** @typedef {{revision: number, data: any}} Snapshot A project's state after a revision. */
/** @typedef {{id: string, data: any, since: number | null}} Pending
 *    A change that is not acknowledged. `since`: the revision that the client had when it sent it first, if it did. */
/** @typedef {{epoch: string | null, revision: number, pending: Pending[]}} Saved
 *    What a page keeps beside its state, to go on with it after a restart of its own. */

/**
 * @typedef {object} Listener Told what happens in a project, in order. All are optional.
 * @property {() => void} [onReset] The project has begun another history: forget its state; all begins from nothing.
 * @property {(snapshot: Snapshot) => void} [onSnapshot] Replace the state.
 * @property {(change: Change, own: boolean) => void} [onChange] The next change; `own`: this client made it.
 * @property {(pending: Pending, why: Refused) => void} [onRefused]
 *   A change of this client is given up: it was not kept, or (`unknown_id`, `reset`) nobody knows.
 * @property {(members: Map<string, Member>) => void} [onMembers] Who is in the project now.
 * @property {(member: string, user: string, state: any) => void} [onPresence] Where another member is.
 * @property {() => void} [onLive] All that was missed is there; what follows happens now.
 * @property {(why: Refused) => void} [onEnd] This client is no member any more, and will not try again.
 */

const PRESENCE_PAUSE = 50; // milliseconds between two states of presence; the newest one is always sent in the end
const PASSING = ["rate", "overloaded", "unavailable", "draining"];

/** What was asked for will not be done, however often it is asked. `code` is one of the contract, or of this client:
 *  `reset` (the project has begun another history, and the change was for the one before), `left` and `closed` (by this
 *  page), `unreachable`, `no_token`. `details` has what else the server said: `limit`, `base`, `retry_after`. */
export class Refused extends Error {
  /** @param {string} code @param {string} message @param {Record<string, any>} [details] */
  constructor(code, message, details = {}) {
    super(`${code}: ${message}`);
    this.name = "Refused";
    this.code = code;
    this.details = details;
  }
}

// Bytes of one message that a server surely takes. A longer one may be beyond limits.payload_bytes (1,000,000): the server
// hangs up then, and says to nobody why.
const SURE_BYTES = 500_000;
const MOST_LOSSES = 3; // connections that end while a longer one is not answered, until it is given up

/** @param {any} data */
const measure = (data) => new TextEncoder().encode(JSON.stringify(data)).length;

/** What a client itself says of a message that ends each connection. @param {number} size */
const makeTooLarge = (size) => new Refused("too_large", `the connection ended each time that these ${size} bytes were sent`);

/** Whether a message ends each connection, as far as can be told. @param {number} losses @param {number} size */
const isTooLarge = (losses, size) => losses >= MOST_LOSSES && size > SURE_BYTES;

const MOST_WAIT = 3600; // seconds: whatever a server says, it is asked again within the hour

/** Seconds that a server wants to be left alone; null: it says nothing that is a time.
 *  @param {any} told @returns {number | null} */
export const readWait = (told) => (typeof told === "number" && told >= 0 ? Math.min(told, MOST_WAIT) : null);

/** Milliseconds until another try where the server names none. */
const drawWait = () => 500 + 1000 * Math.random();

/** @param {Record<string, any>} answer */
const readRefusal = (answer) => new Refused(answer.code, answer.message, answer);

/** Milliseconds after which a refused request is worth another try; null: it never is.
 *  @param {Record<string, any>} answer @returns {number | null} */
function findWait(answer) {
  if (!PASSING.includes(answer.code)) return null;
  const wait = readWait(answer.retry_after);
  return wait === null ? drawWait() : 1000 * wait;
}

/** A value as it is now, whatever the page does with its own later. Throws for what cannot be sent (a BigInt, what contains
 *  itself, bytes): it would end the connection, and the next one, and so on. @param {any} value @returns {any} */
function copyJson(value) {
  const text = JSON.stringify(value, /** @this {any} @param {string} key @param {any} written */ function (key, written) {
    const raw = this[key];
    if (raw instanceof ArrayBuffer || ArrayBuffer.isView(raw) || (typeof Blob !== "undefined" && raw instanceof Blob))
      throw new TypeError("bytes are no JSON: encode them as text");
    return written;
  });
  return text === undefined ? undefined : JSON.parse(text);
}

/** A UUID; pages without TLS have no `crypto.randomUUID`. */
function makeId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @template T @returns {{promise: Promise<T>, resolve: (value: T) => void, reject: (why: Error) => void}} */
export function defer() {
  /** @type {any} */
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  made.promise.catch(() => {}); // the listener is told, too
  return made;
}

/** @param {number} ms @returns {Promise<void>} */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One project as its member sees it. Made by `Client.join`. */
export class Project {
  /** @param {Client} client @param {string} name @param {Listener} listener @param {Saved} [saved] */
  constructor(client, name, listener, saved) {
    this.name = name;
    /** `edit` or `view`. */
    this.right = "";
    /** This client's own id among the members. */
    this.member = "";
    /** @type {Map<string, Member>} */
    this.members = new Map();
    this.revision = saved ? saved.revision : 0;
    /** @type {string | null} */
    this.epoch = saved ? saved.epoch : null;
    /** @type {ReturnType<typeof defer<void>>} @internal */
    this._joined = defer();
    this._isJoined = false;
    this._client = client;
    this._listener = listener;
    this._user = "";
    /** @type {Map<string, {pending: Pending, outcome: ReturnType<typeof defer<number>>, on: Connection | null,
     *    size: number, askedOn: Connection | null, losses: number}>} */
    this._unsent = new Map();
    this._joining = false;
    this._isLive = false;
    /** @type {ReturnType<typeof defer<void>>} */
    this._live = defer();
    /** @type {any} after a refusal that passes */
    this._again = null;
    /** @type {any} */
    this._presence = null;
    this._presenceIsNew = false;
    /** @type {any} */
    this._presenceTimer = null;
    /** @type {Refused | null} */
    this._ended = null;
    for (const { id, data, since } of saved ? saved.pending : []) this._add({ id, data, since });
  }

  // --- for the page ------------------------------------------------------------------------

  /** Make a change. It is sent now or as soon as there is a connection, again and again until it is acknowledged.
   *  @param {any} data @param {string} [id] never used twice by one user; made if there is none
   *  @returns {Promise<number>} its revision, once it is kept; rejected with Refused when it is given up, and with
   *    another error when it is no JSON */
  submit(data, id = makeId()) {
    if (this._ended) return Promise.reject(this._ended);
    if (this._unsent.has(id)) return Promise.reject(new Error(`a change ${id} is under way`));
    let unsent;
    try {
      unsent = this._add({ id, data: copyJson(data), since: null });
    } catch (error) {
      return Promise.reject(error);
    }
    this._send();
    return unsent.outcome.promise;
  }

  /** What `Client.join` needs to go on from here; keep it together with the state, at the same moment.
   *  @returns {Saved} */
  save() {
    const pending = [...this._unsent.values()].map(({ pending: one }) => ({ ...one, data: copyJson(one.data) }));
    return { epoch: this.epoch, revision: this.revision, pending };
  }

  /** Tell the others where one is. The latest state counts, and those between may be left out. Throws for one that is no
   *  JSON, or far too large. @param {any} state */
  present(state) {
    const copied = copyJson(state);
    if (copied !== undefined && measure(copied) > SURE_BYTES) // it would end each connection
      throw new RangeError(`it has ${measure(copied)} bytes, and ${SURE_BYTES} are far too many for presence`);
    this._presence = copied;
    this._presenceIsNew = true;
    this._sendPresence();
  }

  /** Changes after a revision up to now, page by page. Throws Refused (`compacted`: see `details.base`).
   *  @param {number} [since] @returns {AsyncGenerator<Change>} */
  async *history(since = 0) {
    let last = since;
    for (let more = true; more; ) {
      const before = last, page = await this._ask("history", { project: this.name, since: last });
      for (const change of page.changes) {
        last = change.revision;
        yield change;
      }
      more = page.more && last > before;
    }
  }

  /** Keep the state after a revision (the latest one that the listener got).
   *  @param {any} data @param {number} [revision] @returns {Promise<number>} the snapshot's revision */
  async keepSnapshot(data, revision = this.revision) {
    // It may be sent later, or again, when the state has got further than the revision.
    return (await this._ask("snapshot", { project: this.name, revision, data: copyJson(data) })).revision;
  }

  /** The latest snapshot that is kept. @returns {Promise<Snapshot | null>} */
  async readSnapshot() {
    return (await this._ask("snapshot", { project: this.name })).snapshot || null;
  }

  /** Be a member no longer. Changes that are not acknowledged are given up. */
  async leave() {
    if (this._isLive && this._client._connection) await this._client._connection.call("leave", { project: this.name });
    this._end(new Refused("left", `${this.name} was left`));
  }

  // --- for the client ----------------------------------------------------------------------

  /** Join on the present connection, and ask for what was missed. @internal */
  _begin() {
    const connection = this._client._connection;
    if (!connection || this._ended) return;
    this._pause();
    this._joining = true;
    const known = this.epoch === null ? {} : { since: this.revision, epoch: this.epoch };
    connection.ask("join", { project: this.name, ...known }, (answer) => this._takeJoin(connection, answer));
  }

  /** What is between us does not fit: not at once, as it may not fit again. */
  _beginSoon() {
    this._pause();
    this._joining = true;
    this._again = setTimeout(() => this._begin(), drawWait());
  }

  /** There is no connection. @internal */
  _pause() {
    if (this._isLive) this._live = defer();
    this._isLive = false;
    clearTimeout(this._again);
    this._again = null;
    for (const unsent of this._unsent.values()) unsent.on = null;
  }

  /** For good. @param {Refused} why @internal */
  _end(why) {
    if (this._ended) return;
    this._pause();
    this._ended = why;
    this._client._projects.delete(this.name);
    clearTimeout(this._presenceTimer);
    this._live.resolve(); // who waits is told
    for (const unsent of [...this._unsent.values()]) this._giveUp(unsent, why);
    if (this._isJoined) this._tell("onEnd", why);
    else this._joined.reject(why);
  }

  /** An event of the server about this project. @param {string} event @param {any} body @internal */
  _take(event, body) {
    if (this._joining && event !== "presence") return; // of the membership before
    if (event === "change") this._takeChange(body);
    else if (event === "changes") this._takePage(body);
    else if (event === "members") this._takeMembers(body);
    else this._tell("onPresence", body.member, body.user, body.state);
  }

  // --- what comes --------------------------------------------------------------------------

  /** @param {Connection} connection @param {any} answer */
  _takeJoin(connection, answer) {
    if (connection !== this._client._connection || this._ended) return;
    if (!answer.ok) {
      let wait = findWait(answer);
      // Full, perhaps, of the connection that broke, whose server has not noticed yet.
      if (wait === null && answer.code === "full" && this._isJoined) wait = 5000;
      if (wait === null) this._end(readRefusal(answer));
      else this._again = setTimeout(() => this._begin(), wait);
      return;
    }
    this._joining = false;
    if (answer.reset) this._startOver();
    this.epoch = answer.epoch;
    this.right = answer.right;
    this.member = answer.member;
    this._takeMembers(answer);
    const me = this.members.get(this.member);
    if (me) this._user = me.user;
    this._takePage(answer);
  }

  _startOver() {
    this.revision = 0;
    const why = new Refused("reset", `${this.name} has begun another history`);
    for (const unsent of [...this._unsent.values()]) this._giveUp(unsent, why);
    this._tell("onReset");
  }

  /** @param {any} page */
  _takePage(page) {
    if (page.snapshot) {
      this.revision = page.snapshot.revision;
      this._tell("onSnapshot", page.snapshot);
    }
    for (const change of page.changes) {
      this._takeChange(change);
      if (this._joining || this._ended) return;
    }
    if (page.more) return;
    this._isLive = true;
    this._live.resolve();
    this._presenceIsNew = this._presence !== null;
    this._isJoined = true;
    this._joined.resolve();
    this._tell("onLive");
    this._send();
    this._sendPresence();
  }

  /** @param {Change} change */
  _takeChange(change) {
    if (change.revision <= this.revision) return;
    if (change.revision !== this.revision + 1) {
      console.warn(`${this.name}: revision ${change.revision} after ${this.revision}: joining anew`);
      return this._beginSoon();
    }
    this.revision = change.revision;
    const unsent = change.user === this._user ? this._unsent.get(change.id) : undefined;
    this._tell("onChange", change, unsent !== undefined);
    if (unsent) {
      this._settle(unsent, change.revision);
      this._send();
    }
  }

  /** @param {any} body */
  _takeMembers(body) {
    if (body.members) this.members = new Map(body.members.map((/** @type {Member} */ one) => [one.member, one]));
    else {
      for (const one of body.left) this.members.delete(one);
      for (const one of body.joined) this.members.set(one.member, one);
    }
    this._tell("onMembers", this.members);
  }

  // --- what goes ---------------------------------------------------------------------------

  /** @param {Pending} pending */
  _add(pending) {
    const unsent = { pending, outcome: /** @type {ReturnType<typeof defer<number>>} */ (defer()), on: null, size: measure(pending.data), askedOn: null, losses: 0 };
    this._unsent.set(pending.id, unsent);
    return unsent;
  }

  /** As many changes as may be under way, in the order in which they were made. */
  _send() {
    const connection = this._client._connection;
    if (!connection || !this._isLive || this._again) return;
    for (const unsent of [...this._unsent.values()])
      if (this._unsent.get(unsent.pending.id) === unsent && isTooLarge(unsent.losses, unsent.size)) // the listener may submit
        this._giveUp(unsent, makeTooLarge(unsent.size));
    let underWay = 0, size = 0;
    for (const unsent of this._unsent.values()) {
      size += unsent.size;
      // A large one alone: or its neighbours would be taken for the one that ends each connection.
      if (++underWay > this._client._window || (size > SURE_BYTES && size !== unsent.size)) return;
      if (!unsent.on) this._sendOne(connection, unsent);
    }
  }

  /** @param {Connection} connection @param {any} unsent */
  _sendOne(connection, unsent) {
    unsent.on = connection;
    unsent.losses += unsent.askedOn && unsent.askedOn !== connection ? 1 : 0; // before an answer
    unsent.askedOn = connection;
    const { pending } = unsent;
    if (pending.since === null) pending.since = this.revision;
    connection.ask("change", { project: this.name, ...pending }, (answer) => {
      unsent.askedOn = null;
      if (unsent.on !== connection || this._unsent.get(pending.id) !== unsent) return; // its copy came before
      unsent.on = null;
      const wait = findWait(answer);
      if (answer.ok) this._settle(unsent, answer.revision);
      else if (answer.code === "not_joined") { if (!this._joining) this._beginSoon(); }
      else if (wait === null) this._giveUp(unsent, readRefusal(answer));
      else if (!this._again) this._again = setTimeout(() => { this._again = null; this._send(); }, wait);
      this._send();
    });
  }

  /** @param {any} unsent @param {number} revision */
  _settle(unsent, revision) {
    this._unsent.delete(unsent.pending.id);
    unsent.outcome.resolve(revision);
  }

  /** @param {any} unsent @param {Refused} why */
  _giveUp(unsent, why) {
    this._unsent.delete(unsent.pending.id);
    unsent.outcome.reject(why);
    this._tell("onRefused", unsent.pending, why);
  }

  _sendPresence() {
    const connection = this._client._connection;
    if (!connection || !this._isLive || !this._presenceIsNew || this._presenceTimer) return;
    this._presenceIsNew = false;
    connection.socket.emit("presence", { project: this.name, state: this._presence });
    this._presenceTimer = setTimeout(() => { this._presenceTimer = null; this._sendPresence(); }, PRESENCE_PAUSE);
  }

  /** The answer to a request that may be made twice. @param {string} event @param {object} body @returns {Promise<any>} */
  async _ask(event, body) {
    for (let losses = 0; ; ) {
      await this._live.promise;
      if (this._ended) throw this._ended;
      const connection = this._client._connection;
      const answer = connection && (await connection.call(event, body));
      if (answer && answer.ok) return answer;
      losses += answer ? 0 : 1;
      if (isTooLarge(losses, losses && measure(body))) throw makeTooLarge(measure(body));
      const wait = !answer || answer.code === "not_joined" ? 100 : findWait(answer); // it is being joined again
      if (wait === null) throw readRefusal(answer);
      await sleep(wait);
    }
  }

  /** A mistake of the listener is its own: the order of changes goes on.
   *  @param {keyof Listener} what @param {any[]} values */
  _tell(what, ...values) {
    try {
      /** @type {any} */ (this._listener)[what]?.(...values);
    } catch (error) {
      console.error(`${this.name}: ${what} of the listener failed`, error);
    }
  }
}
