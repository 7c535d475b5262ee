// Copyright (c) 2026, the collab.rtc authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// A list that several people edit. A change sets the text of one line; the last change of a line counts. What was typed
// shows at once, and its field has a dashed border until the server has it.
import { Client } from "./rtc-client.js";
import { io } from "./socket.io.js";

const find = (id) => document.getElementById(id);
const lines = new Map(); // id of a line → {field, unsent: changes of it that are under way}
const cursors = new Map(); // member → element
let project = null;

async function askToken(user) {
  const answer = await fetch("token", { method: "POST", body: JSON.stringify({ user }) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

/** A colour for each name, dark enough for white text. */
function chooseHue(user) {
  const sum = [...user].reduce((so_far, letter) => (so_far * 31 + letter.codePointAt(0)) % 360, 7);
  return `hsl(${sum} 70% 35%)`;
}

function showStatus({ state, reason, seconds }) {
  const away = reason === "restart" ? "The server restarts" : "Not connected";
  find("status").textContent = {
    connecting: "Connecting …",
    connected: "Connected",
    away: `${away}: next try in ${Math.ceil(seconds)} s. What you type is sent then.`,
    closed: "Closed",
  }[state];
}

function findLine(id) {
  if (!lines.has(id)) {
    const field = document.createElement("input");
    field.setAttribute("aria-label", `Line ${lines.size + 1}`);
    field.disabled = project !== null && project.right !== "edit";
    field.addEventListener("input", () => write(id, field.value));
    field.addEventListener("focus", () => tell({ line: id }));
    find("lines").append(document.createElement("li"));
    find("lines").lastChild.append(field);
    lines.set(id, { field, unsent: 0 });
  }
  return lines.get(id);
}

function mark(line, by) {
  line.unsent += by;
  line.field.classList.toggle("unsent", line.unsent > 0);
}

function write(id, text) {
  const line = findLine(id);
  mark(line, 1);
  project.submit({ line: id, text }).then(() => mark(line, -1), (why) => {
    mark(line, -1);
    find("status").textContent = `This was not kept: ${why.message}`;
  });
}

const place = { x: 0, y: 0, line: null };
function tell(news) {
  project?.present(Object.assign(place, news));
}

const listener = {
  onReset() {
    lines.clear();
    find("lines").replaceChildren();
  },
  onSnapshot({ data }) {
    listener.onReset();
    for (const [id, text] of data) findLine(id).field.value = text;
  },
  onChange({ data }) {
    const line = findLine(data.line);
    if (line.unsent === 0) line.field.value = data.text; // otherwise mine comes after it
  },
  onMembers(members) {
    find("members").textContent = [...new Set([...members.values()].map(({ name }) => name))].sort().join(", ");
    for (const [member, cursor] of cursors) {
      if (members.has(member)) continue;
      cursor.remove();
      cursors.delete(member);
    }
  },
  onPresence(member, user, { x, y, line }) {
    if (!cursors.has(member)) {
      const cursor = document.createElement("div");
      cursor.className = "cursor";
      cursor.append(document.createElement("span"));
      cursor.firstChild.textContent = user; // never as markup
      cursor.style.setProperty("--hue", chooseHue(user));
      cursors.set(member, cursor);
      find("cursors").append(cursor);
    }
    Object.assign(cursors.get(member).style, { left: `${x * 100}vw`, top: `${y * 100}vh` });
    for (const [id, { field }] of lines) {
      if (field.dataset.by === member) field.classList.remove("theirs");
      if (id !== line) continue;
      field.classList.add("theirs");
      field.dataset.by = member;
      field.style.setProperty("--hue", chooseHue(user));
    }
  },
  onEnd(why) {
    find("status").textContent = why.message;
  },
};

find("enter").addEventListener("submit", async (event) => {
  event.preventDefault();
  const user = find("user").value;
  find("enter").hidden = true;
  find("board").hidden = false;
  try {
    const first = await askToken(user);
    const client = new Client(io, first.rtc, { token: async () => (await askToken(user)).token, onStatus: showStatus });
    await client.connect();
    project = await client.join(first.project, listener);
  } catch (why) {
    find("status").textContent = why.message;
  }
});
find("add").addEventListener("click", () => {
  const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16)).join("");
  write(id, "");
  lines.get(id).field.focus();
});
addEventListener("pointermove", ({ clientX, clientY }) => tell({ x: clientX / innerWidth, y: clientY / innerHeight }));
