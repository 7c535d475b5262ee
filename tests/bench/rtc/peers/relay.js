// Copyright (c) 2026, the collab.rtc authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// A relay on Node's socket.io: node relay.js PORT ws|uws|recovery, or PORT postgres URL for several on one PostgreSQL
const { Server } = require("socket.io");
const port = Number(process.argv[2]);
const kind = process.argv[3];
// recovery keeps what was sent for those who come back within two minutes
const options = kind === "recovery" ? { connectionStateRecovery: {} } : {};
let io;
if (kind === "uws") {
  const app = require("@trufflesuite/uws-js-unofficial").App();
  io = new Server(options);
  io.attachApp(app);
  app.listen("127.0.0.1", port, (token) => token || process.exit(1));
} else {
  const http = require("http").createServer();
  io = new Server(http, options);
  http.listen({ port, host: "127.0.0.1", backlog: 1024 });
}
if (kind === "postgres") {
  const pool = new (require("pg").Pool)({ connectionString: process.argv[4] });
  pool
    .query(
      "CREATE TABLE IF NOT EXISTS socket_io_attachments" +
        " (id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea)",
    )
    .catch(() => {}); // another one makes it at the same time
  io.adapter(require("@socket.io/postgres-adapter").createAdapter(pool));
}
io.on("connection", (socket) => {
  let room = [...socket.rooms].find((name) => name !== socket.id); // a recovered one is in its room already
  socket.on("join", (name, ack) => {
    room = name;
    socket.join(room);
    ack("ok");
  });
  socket.on("msg", (data, ack) => {
    socket.to(room).emit("msg", data);
    if (ack) ack("ok");
  });
});
