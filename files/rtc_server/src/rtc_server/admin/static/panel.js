// The panel: asks for the state every few seconds and shows it. Whatever comes from the server is set as text.
"use strict";

const EVERY = 4000; // milliseconds between two looks
const csrf = document.querySelector("meta[name=csrf]").content;
const $ = (id) => document.getElementById(id);
let before = null; // the state before, for rates
let page = 1;
let busy = false;
let again = false; // somebody asked while an answer was on its way

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: {"X-CSRF-Token": csrf, "Content-Type": "application/json"},
    body: JSON.stringify(body),
  };
  const answer = await fetch(path, options);
  if (answer.status === 401) {
    location.assign("login");
    throw new Error("The session is over.");
  }
  const found = await answer.json().catch(() => ({})); // a proxy's own page where the server is away
  if (!answer.ok) throw new Error(found.error || `HTTP status ${answer.status}`);
  return found;
}

function make(tag, text, options = {}) {
  const element = Object.assign(document.createElement(tag), options);
  if (text !== undefined) element.textContent = text;
  return element;
}

// Writes only what differs, so that a screen reader hears what has changed and nothing else.
function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Names come from people: each is kept apart from what stands beside it, whatever direction it is written in.
const isolate = (name) => `\u2068${name}\u2069`;

function setNames(element, parts) {
  if (element.textContent !== parts.flat().join("")) {
    element.replaceChildren(...parts.map((part) => (Array.isArray(part) ? make("bdi", part[0]) : part)));
  }
}

// A row that is there stays the element that it is: whoever has the focus in it, or has selected its text, keeps that.
function setRows(body, items, makeRow, fillRow) {
  const times = new Map();
  const keys = items.map(({user, since, address}) => {
    const key = JSON.stringify([user, since, address]);
    times.set(key, (times.get(key) || 0) + 1);
    return `${key} ${times.get(key)}`;
  });
  const rows = new Map([...body.children].map((row) => [row.dataset.key, row]));
  for (const [key, row] of rows) if (!keys.includes(key)) row.remove();
  let next = body.firstElementChild;
  items.forEach((one, at) => {
    const row = rows.get(keys[at]) || makeRow(one);
    row.dataset.key = keys[at];
    if (row === next) next = next.nextElementSibling;
    else body.insertBefore(row, next);
    fillRow(row.cells, one);
  });
}

function setFacts(list, facts) {
  const text = JSON.stringify(facts);
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  list.replaceChildren(...facts.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
}

const formatTime = (at) => new Date(at * 1000).toLocaleString([], {dateStyle: "short", timeStyle: "medium"});
const formatDay = (at) => new Date(at * 1000).toISOString().slice(0, 10);

function formatBytes(number) {
  for (const unit of ["bytes", "kB", "MB", "GB"]) {
    if (number < 1000) return `${unit === "bytes" ? number : number.toPrecision(3)} ${unit}`;
    number /= 1000;
  }
  return `${number.toPrecision(3)} TB`;
}

function formatSpan(seconds) {
  for (const [size, unit] of [[86400, "days"], [3600, "hours"], [60, "minutes"]]) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.max(0, Math.floor(seconds))} seconds`;
}

const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

function describeCertificate(ends, now) {
  const days = Math.floor((ends - now) / 86400);
  return `valid until ${formatDay(ends)} (${days < 0 ? "expired" : count(days, "day")})`;
}

function showVerdict(state) {
  $("verdict").dataset.status = state.status;
  set($("word"), {up: "UP", down: "DOWN", unknown: "not known"}[state.status]);
  set($("why"), state.why);
  set($("remedy"), state.remedy);
  set($("name"), state.server.name);
  document.title = `${state.status === "unknown" ? "RTC" : state.status.toUpperCase()}: ${state.server.name}`;
  const facts = [
    ["Server name", state.server.name], ["Port", String(state.server.port)], ["Protocol", state.server.protocol],
  ];
  if (state.path.ends) facts.push(["Certificate", describeCertificate(state.path.ends, state.at)]);
  if (state.certificate) facts.push(["Own certificate", describeCertificate(state.certificate.ends, state.at)]);
  setFacts($("fields"), facts);
}

function showPath(state) {
  $("verify").disabled = !state.server.url || state.path.running;
  const tried = state.path.at ? `, tried ${formatTime(state.path.at)}` : "";
  set($("path-note"), state.server.url
    ? `${state.server.url}, from this host as a client would${tried}${state.path.running ? " – trying …" : ""}`
    : "The address that users come by is not configured (admin.url).");
  const text = JSON.stringify(state.path.steps);
  if ($("steps").dataset.shown === text) return;
  $("steps").dataset.shown = text;
  $("steps").replaceChildren(...state.path.steps.map((step) => {
    const item = make("li");
    item.dataset.state = step.state;
    const words = {ok: "ok", failed: "fails", skipped: "–"};
    item.append(make("span", words[step.state], {className: "state"}), make("span", step.name),
      make("span", step.text, {className: "text"}));
    if (step.remedy) item.append(make("span", step.remedy, {className: "remedy"}));
    return item;
  }));
}

function showFacts(state) {
  const {connections, projects, waiting, journal, disk, process} = state;
  const seconds = before && before.process.pid === process.pid ? state.at - before.at : 0;
  const rate = (name) => seconds > 0 ? ((state.counts[name] - before.counts[name]) / seconds).toFixed(1) : "…";
  setFacts($("now"), [
    ["People", `${connections.users}, with ${connections.with_token} of at most ${count(connections.most, "connection")}`],
    ["Transport", `${connections.websocket} WebSocket, ${connections.polling} polling`
      + (connections.engine_io_3 ? `, ${connections.engine_io_3} of older clients` : "")],
    ["Without token", String(connections.without_token)],
    ["Projects", `${projects.loaded} open, ${count(projects.members, "member")}`],
    ["Changes kept", `${rate("requests")} a second`],
    ["Deliveries", `${rate("writes")} a second`],
    ["Waiting", `${formatBytes(waiting.bytes)} for slow readers`],
    ["Process", `${process.pid}, up ${formatSpan(state.at - state.started)}, ${formatBytes(process.memory)},`
      + ` ${process.files} of ${process.most_files} files`],
  ]);
  const kept = [
    [journal.kind === "store" ? "Store" : "Journal", journal.where],
    ["State", journal.fault || (journal.disk_full ? "the disk is nearly full" : "takes changes")],
  ];
  if (state.journal_bytes !== null) kept.push(["Size", formatBytes(state.journal_bytes)]);
  if (disk) kept.push(["Disk", `${formatBytes(disk.free)} free of ${formatBytes(disk.total)}, ${formatBytes(disk.reserve)} are reserved`]);
  else if (journal.kind === "file") kept.push(["Disk", "does not say how full it is: it may hang"]);
  setFacts($("kept"), kept);
}

function showSlow(slow) {
  $("slow-section").hidden = slow.length === 0;
  $("slow").replaceChildren(...slow.map((one) => {
    const row = make("tr");
    row.append(make("td", one.user), make("td", one.transport), make("td", one.address, {className: "address"}),
      make("td", formatBytes(one.waiting), {className: "number"}));
    return row;
  }));
}

function showRecent(recent) {
  $("recent-none").hidden = recent.length > 0;
  const text = JSON.stringify(recent);
  if ($("recent").dataset.shown === text) return;
  $("recent").dataset.shown = text;
  $("recent").replaceChildren(...recent.map((one) => {
    const item = make("li");
    item.append(make("span", formatTime(one.at), {className: "when"}), make("strong", `${one.level} `),
      `${one.where}: ${one.text}`);
    return item;
  }));
}

async function showPeople() {
  const found = await ask(`api/people?${new URLSearchParams({page, search: $("search").value})}`);
  page = found.page;
  set($("people-note"), `${count(found.total, "connection")}${$("search").value ? " found" : ""}`);
  $("pager").hidden = found.pages < 2;
  set($("page"), `Page ${found.page} of ${found.pages}`);
  $("previous").disabled = found.page === 1;
  $("next").disabled = found.page === found.pages;
  setRows($("people"), found.people, makePerson, fillPerson);
}

const hasName = (one) => one.name && one.name !== one.user;

function makePerson(one) {
  const row = make("tr"), button = make("button", "Disconnect", {type: "button"}), cell = make("td");
  button.setAttribute("aria-label", `Disconnect ${hasName(one) ? `${one.name} (${one.user})` : one.user}`);
  button.addEventListener("click", () => disconnect(one.user, isolate(one.user)));
  cell.append(button);
  row.append(make("td"), make("td"), make("td"), make("td", formatTime(one.since), {className: "time"}),
    make("td", one.address, {className: "address"}), cell);
  return row;
}

function fillPerson([who, projects, transport], one) {
  setNames(who, hasName(one) ? [[one.name], " (", [one.user], ")"] : [[one.user]]);
  setNames(projects, one.projects.length ? one.projects.flatMap((name, at) => (at ? [", ", [name]] : [[name]])) : ["none"]);
  set(transport, one.transport + (one.engine_io === 3 ? " (older client)" : ""));
}

async function look() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const state = await ask("api/state");
    showVerdict(state);
    showPath(state);
    showFacts(state);
    showSlow(state.waiting.slow);
    showRecent(state.recent);
    $("restart").disabled = !state.can_restart;
    if (!state.can_restart) set($("restart-note"), "Not here: systemd has not started this process.");
    $("drain").disabled = state.draining;
    $("resume").disabled = !state.draining;
    set($("foot"), `RTC server ${state.version}, listens on ${state.server.listens}; as of ${formatTime(state.at)}`);
    before = state;
    await showPeople();
    $("lost").hidden = true;
  } catch (error) {
    set($("lost"), `The server does not answer (${error.message}). What is below is old. If it stays so, run on the host:`
      + " rtc-server doctor --config /etc/rtc-server/INSTANCE.toml");
    $("lost").hidden = false;
  } finally {
    busy = false;
    if (again) {
      again = false;
      look();
    }
  }
}

let silence = 0;
function say(text) {
  $("said").textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => { $("said").textContent = ""; }, 6000);
}

async function act(path, body = {}) {
  try {
    say((await ask(path, body)).done);
  } catch (error) {
    say(error.message);
  }
  await look();
}

function confirmed(text, word) {
  $("ask-text").textContent = text;
  $("ask-yes").textContent = word;
  const dialog = $("ask");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), {once: true});
  });
}

async function disconnect(user, who) {
  if (await confirmed(`End all connections of ${who}? The user may come back as long as the application lets in.`,
    "Disconnect")) await act("api/disconnect", {user});
}

$("verify").addEventListener("click", () => {
  $("verify").disabled = true; // until a state says that the try is over
  act("api/verify");
});
$("restart").addEventListener("click", async () => {
  if (await confirmed("Restart the RTC server? Clients come back by themselves; you have to log in again.", "Restart")) {
    await act("api/restart");
  }
});
$("drain").addEventListener("click", async () => {
  if (await confirmed("Send everybody away and refuse new clients, until you resume or restart?", "Drain")) {
    await act("api/drain");
  }
});
$("resume").addEventListener("click", () => act("api/resume"));
$("logout").addEventListener("click", async () => {
  await ask("api/logout", {});
  location.assign("login");
});
$("previous").addEventListener("click", () => { page -= 1; look(); });
$("next").addEventListener("click", () => { page += 1; look(); });
$("search").addEventListener("input", () => { page = 1; look(); });

look();
setInterval(look, EVERY);
