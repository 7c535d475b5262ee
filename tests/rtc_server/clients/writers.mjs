// Copyright (c) 2026, the collab.rtc authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// node writers.mjs OPTIONS: people with clients/js who write until the input ends. OPTIONS is JSON: url, project,
// packages (where socket.io-client is), people ({name: transports}), and what else is in `options` below. Prints JSON
// lines: {who, id, revision} for each acknowledgement, {who, id, refused} for a change that was given up, {who, status}.
// When the input ends, nobody writes anything new; once all is acknowledged, {who, seen, connects} for each.
import { createHmac } from "node:crypto";
import dns from "node:dns";
import { createRequire } from "node:module";
import { Client } from "../../../clients/js/rtc-client.js";

const options = {
  address: "", // where the name in the URL points to
  headers: {},
  token: "", // for all; "": each person has its own, made with this secret
  secret: "",
  seconds: 300, // life of such a token
  ahead: 4, // changes of one person that it waits for
  pause: 0, // milliseconds after each
  client: {}, // options of the client
  ...JSON.parse(process.argv[2]),
};
const { io } = createRequire(options.packages + "/package.json")("sio4");
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const fail = (why) => process.stderr.write(`${why}\n`, () => process.exit(1));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

if (options.address) {
  const { lookup } = dns;
  dns.lookup = (name, how, done) => {
    const callback = typeof how === "function" ? how : done;
    if (name !== new URL(options.url).hostname) return lookup(name, how, done);
    const found = { address: options.address, family: 4 };
    process.nextTick(() => (how && how.all ? callback(null, [found]) : callback(null, found.address, 4)));
  };
}

function makeToken(user) {
  if (options.token) return options.token;
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + options.seconds;
  const signed = `${encode({ alg: "HS256" })}.${encode({ sub: user, projects: { "*": "edit" }, aud: "rtc-server", exp })}`;
  return `${signed}.${createHmac("sha256", options.secret).update(signed).digest("base64url")}`;
}

let stopping = false;
process.stdin.resume();
process.stdin.on("end", () => { stopping = true; });

async function write(who, transports) {
  const seen = [];
  let number = 0, connects = 0;
  const client = new Client(io, options.url, {
    token: () => makeToken(who),
    onStatus: (status) => {
      connects += status.state === "connected";
      print({ who, status, time: performance.now() / 1000 });
    },
    socket: { transports, extraHeaders: options.headers },
    ...options.client,
  });
  await client.connect();
  const project = await client.join(options.project, {
    onReset: () => fail(`${who}: another history`),
    onSnapshot: () => fail(`${who}: nobody sends snapshots`),
    onChange: (change) => {
      if (change.revision !== seen.length + 1) fail(`${who}: revision ${change.revision} after ${seen.length}`);
      seen.push(change.id);
    },
  });
  const go = async () => {
    while (!stopping) {
      const id = `${who}-${++number}`;
      try {
        print({ who, id, revision: await project.submit({ id, text: "é😀\u2028" }, id) });
      } catch (error) {
        print({ who, id, refused: error.code });
      }
      await sleep(options.pause);
    }
  };
  await Promise.all(Array.from({ length: options.ahead }, go));
  client.close();
  print({ who, seen, connects });
}

Promise.all(Object.entries(options.people).map(([who, transports]) => write(who, transports))).then(
  () => process.stdout.write("", () => process.exit(0)),
  (error) => fail(`${error.code} ${error.message}`),
);
