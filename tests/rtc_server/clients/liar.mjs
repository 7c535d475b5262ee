// Copyright (c) 2026, the collab.rtc authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// node liar.mjs OPTIONS: joins a project and prints what the client is told, one JSON array a line.
import { createRequire } from "node:module";
import { Client } from "../../../clients/js/rtc-client.js";

const options = JSON.parse(process.argv[2]);
const { io } = createRequire(options.packages + "/package.json")("sio4");
const tell = (...what) => process.stdout.write(JSON.stringify(what) + "\n");

const onStatus = ({ state, reason, seconds }) => {
  if (state === "away") tell("away", reason, seconds);
  if (reason === "disconnected") setTimeout(() => { tell("wanted"); client.comeBack(); }, 500);
};
const client = new Client(io, options.url, { token: () => "token", delay: 0.1, patience: 60, onStatus });
await client.connect();
await client.join("p", { onChange: (change) => tell("change", change.id), onLive: () => tell("live") });
const seen = [];
for await (const change of client._projects.get("p").history()) seen.push(change.id);
tell("history", ...seen);
