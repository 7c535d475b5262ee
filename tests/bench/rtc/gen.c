/* Copyright (c) 2026, the collab.rtc authors
 * GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Load generator for Socket.IO servers: raw RFC 6455, Engine.IO 4, Socket.IO 5, epoll, one thread.
 * Every message carries the time at which it was due, so a server that falls behind cannot hide it.
 *
 * Dialects: relay (default): ["join","ROOM"] and ["msg",{...}], which the server passes on to all others;
 *   contract (-c FILE with a token a line): join and change with acknowledgement as in docs/asyncapi.yaml.
 *   There, revisions must come without a gap and every answer must be ok, else the run fails.
 * What is counted is what members get from others; own copies and acknowledgements are not.
 *
 * gen -p PORT -r ROOMS -m MEMBERS -d SECONDS (-w WINDOW | -R RATE)  fan-out, closed or open loop
 * gen -p PORT -C N -d SECONDS                                      N connections that do nothing
 * gen -p PORT -r ROOMS -m MEMBERS -S MISSED                        all but one of a room go, miss that many, come back
 *   -p PORT[,PORT] of several servers: the members of each room are spread over them
 *   -s PID[,PID] processes whose CPU counts, the server first   -T TLS (gen_tls.h)
 *   -W seconds before measuring   -b bytes of a message   -k handshakes at once
 *   -n prefix of the rooms' names   -v (storm) relay with Socket.IO's connection state recovery
 * Prints one JSON object. Exit status: 1 wrong usage, 2 to 4 a connection broke or stalled, 5 the server refused
 * something, 6 it broke a promise. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum state { CLOSED, SHAKING, HTTP, OPENING, CONNECTING, JOINING, READY };

typedef struct {
  int fd, index, room;
  void *tls; /* NULL: plain */
  enum state state;
  uint8_t *in, *out;
  int in_len, in_cap, out_len, out_cap, polling_out;
  int stamp_at;          /* where the last message had its time: the next one most likely has it there, too */
  long revision;         /* contract: the last one got */
  int caught_up;         /* storm: changes got since it came back */
  char epoch[40], pid[40], offset[40];
} Conn;

#define BUCKETS 64000 /* of 10 us */
#define TAG "{\"t\":\""
#define TAG_LEN 6

static int rooms = 1, members = 50, window, idle, missed = -1, at_once = 32, size = 256;
static int servers[8], server_count, ports[8], port_count, recovery;
static double seconds = 3, rate, warm = 1;
static const char *prefix = "r";
static unsigned long long begun_ms; /* of the day's clock: ids are new ones also in a journal that is used again */
static char **tokens;
static int token_count;

static Conn *conns;
static int total, epoll, started, ready, handshakes, storming;
static int64_t *outstanding; /* deliveries on their way, for each room */
static int *next_sender;
static uint64_t histogram[BUCKETS], counted, worst;
static uint64_t delivered, sent, late, refused_acks, acks, bytes;
static int measuring;
static uint64_t clock_now; /* read once for each batch of packets */

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(int status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(status);
}

#include "gen_tls.h"

/* --- sending -------------------------------------------------------------------------------------------- */

static void watch(Conn *c, int for_out) {
  struct epoll_event e = {.events = EPOLLIN | (for_out ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
  c->polling_out = for_out;
}

static void flush(Conn *c) {
  int done = 0;
  while (done < c->out_len) {
    ssize_t n = net_send(c->fd, c->tls, c->out + done, c->out_len - done);
    if (n < 0) {
      if (errno == EAGAIN) break;
      fail(2, "send: %s", strerror(errno));
    }
    done += n;
  }
  memmove(c->out, c->out + done, c->out_len - done);
  c->out_len -= done;
  if ((c->out_len > 0) != c->polling_out) watch(c, c->out_len > 0);
}

static void put(Conn *c, const void *data, int n) {
  if (c->out_len + n > c->out_cap) {
    c->out_cap = (c->out_len + n) * 2;
    c->out = realloc(c->out, c->out_cap);
  }
  memcpy(c->out + c->out_len, data, n);
  c->out_len += n;
}

/* A text frame; the mask is zero, which saves us work and the server none. */
static void send_text(Conn *c, const char *text, int n) {
  uint8_t head[8] = {0x81};
  int k = 2;
  if (n < 126) {
    head[1] = 0x80 | n;
  } else {
    head[1] = 0x80 | 126;
    head[2] = n >> 8;
    head[3] = n & 255;
    k = 4;
  }
  memset(head + k, 0, 4);
  put(c, head, k + 4);
  put(c, text, n);
  flush(c);
}

static void say(Conn *c, const char *format, ...) {
  char text[10000];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  send_text(c, text, n);
}

/* One message of a room's next member, stamped with the time at which it was due. */
static void send_message(int room, uint64_t due, int wants_ack) {
  int sender = storming ? 0 : next_sender[room];
  next_sender[room] = (sender + 1) % members;
  Conn *c = &conns[room * members + sender];
  char text[4096];
  int n, start;
  if (tokens)
    n = sprintf(text, "42%llu[\"change\",{\"project\":\"%s%d\",\"id\":\"%llx-%d-%llu\",\"data\":",
                (unsigned long long)sent % 1000000000 + 2,
                prefix, room, begun_ms, c->index, (unsigned long long)sent);
  else if (wants_ack)
    n = sprintf(text, "422[\"msg\",");
  else
    n = sprintf(text, "42[\"msg\",");
  start = n;
  n += sprintf(text + n, TAG "%020llu\",\"s\":\"%06d\",\"p\":\"", (unsigned long long)due, c->index);
  while (n - start < size - 2) text[n++] = 'x';
  n += sprintf(text + n, tokens ? "\"}}]" : "\"}]");
  send_text(c, text, n);
  sent++;
  outstanding[room] += members - 1;
}

/* --- handshake ------------------------------------------------------------------------------------------ */

static int port_of(const Conn *c) { return ports[c->index % port_count]; }

/* Once connected, by TLS where that is wanted. */
static void ask(Conn *c) {
  if (!net_shake(c->tls)) return; /* turn() calls again when the server's part is there */
  c->state = HTTP;
  char request[600];
  int n = sprintf(request,
                  "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                  "Connection: Upgrade\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                  port_of(c));
  put(c, request, n);
  flush(c);
}

static void start(Conn *c) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port_of(c)),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0 || connect(c->fd, (void *)&to, sizeof to) < 0) fail(2, "connect: %s", strerror(errno));
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
  c->tls = net_open(c->fd);
  c->state = SHAKING;
  c->in_len = c->out_len = c->polling_out = 0;
  if (!c->in) c->in = malloc(c->in_cap = idle ? 4096 : 1 << 16);
  ask(c);
  handshakes++;
}

static void is_ready(Conn *c) {
  c->state = READY;
  ready++;
  handshakes--;
}

static void join(Conn *c) {
  c->state = JOINING;
  if (!tokens)
    say(c, "421[\"join\",\"%s%d\"]", prefix, c->room);
  else if (c->epoch[0])
    say(c, "421[\"join\",{\"project\":\"%s%d\",\"since\":%ld,\"epoch\":\"%s\"}]", prefix, c->room,
        c->revision, c->epoch);
  else
    say(c, "421[\"join\",{\"project\":\"%s%d\"}]", prefix, c->room);
}

/* Copy the string value of a member of a JSON text; nothing when it is not there. */
static void take(const char *text, int n, const char *name, char *into) {
  const char *at = memmem(text, n, name, strlen(name));
  if (!at) return;
  at += strlen(name);
  int k = 0;
  while (at < text + n && *at != '"' && k < 39) into[k++] = *at++;
  into[k] = 0;
}

static int count_tags(const char *text, int n) {
  int found = 0;
  for (const char *at = text; (at = memmem(at, text + n - at, TAG, TAG_LEN)); at += TAG_LEN) found++;
  return found;
}

static void caught_up(Conn *c, int more) {
  c->caught_up += more;
  if (c->caught_up > missed) fail(6, "a member got %d of %d missed messages", c->caught_up, missed);
  if (c->caught_up == missed && c->state == JOINING) is_ready(c);
}

static int ends_with(const char *text, int n, const char *end) {
  int size = strlen(end);
  return n >= size && !memcmp(text + n - size, end, size);
}

/* A page of what an old project had before: the last one ends with the revision from which on changes come alone. */
static void take_page(Conn *c, const char *text, int n) {
  static const char key[] = "\"revision\":";
  for (int at = n - (int)sizeof key; at > 12; at--)
    if (!memcmp(text + at, key, sizeof key - 1)) {
      c->revision = atol(text + at + sizeof key - 1);
      break;
    }
  if (ends_with(text, n, "\"more\":false}]")) is_ready(c);
}

static void joined(Conn *c, const char *text, int n) {
  if (tokens) {
    if (!memmem(text, n < 40 ? n : 40, "\"ok\":true", 9)) fail(5, "join: %.*s", n < 300 ? n : 300, text);
    take(text, n, "\"epoch\":\"", c->epoch);
    if (!storming) c->revision = strtol((char *)memmem(text, n, "\"revision\":", 11) + 11, 0, 10);
  }
  if (!storming && tokens && ends_with(text, n, "\"more\":true}]"))
    return; /* take_page goes on */
  if (!storming)
    is_ready(c);
  else if (missed == 0)
    is_ready(c);
  else
    caught_up(c, count_tags(text, n));
}

static void on_connected(Conn *c, const char *text, int n) {
  int again = recovery && storming && c->pid[0];
  if (again) {
    char old[40];
    memcpy(old, c->pid, 40);
    take(text, n, "\"pid\":\"", c->pid);
    if (strcmp(old, c->pid)) fail(6, "the server did not recover the session: %.*s", n, text);
    c->state = JOINING; /* what was missed comes by itself, most of it before this answer */
    caught_up(c, 0);
  } else if (idle) {
    is_ready(c);
  } else {
    take(text, n, "\"pid\":\"", c->pid);
    join(c);
  }
}

/* --- receiving ------------------------------------------------------------------------------------------ */

static void count(Conn *c, const char *text, int n) {
  if (c->stamp_at + TAG_LEN > n || memcmp(text + c->stamp_at, TAG, TAG_LEN)) {
    const char *at = memmem(text, n < 400 ? n : 400, TAG, TAG_LEN);
    if (!at) return; /* not a message: who came and went */
    c->stamp_at = at - text;
  }
  if (tokens) {
    const char *at = memmem(text, c->stamp_at, "\"revision\":", 11);
    long revision = at ? strtol(at + 11, 0, 10) : 0;
    if (revision != c->revision + 1) fail(6, "revision %ld follows %ld", revision, c->revision);
    c->revision = revision;
  }
  const char *stamp = text + c->stamp_at + TAG_LEN;
  if (atoi(stamp + 20 + 7) == c->index) return; /* own copy */
  outstanding[c->room]--;
  if (recovery && text[n - 2] == '"') { /* the last argument is the offset to come back with */
    int k = n - 2;
    while (text[k - 1] != '"') k--;
    snprintf(c->offset, sizeof c->offset, "%.*s", n - 2 - k, text + k);
  }
  if (!measuring) return;
  uint64_t due = 0;
  for (int i = 0; i < 20; i++) due = due * 10 + (stamp[i] - '0');
  uint64_t took = clock_now > due ? (clock_now - due) / 10000 : 0;
  if (took >= BUCKETS) took = BUCKETS - 1;
  histogram[took]++;
  counted++;
  delivered++;
  if (took > worst) worst = took;
}

static void on_text(Conn *c, const char *text, int n) {
  if (n == 1 && text[0] == '2') {
    say(c, "3");
  } else if (c->state == READY || c->state == JOINING) {
    if (n > 1 && text[0] == '4' && text[1] == '3') {
      if (c->state == JOINING && text[2] == '1' && text[3] == '[') {
        joined(c, text, n);
      } else {
        acks++;
        if (tokens && !memmem(text, n < 60 ? n : 60, "\"ok\":true", 9) && !refused_acks++)
          fail(5, "refused: %.*s", n < 300 ? n : 300, text);
      }
    } else if (n > 2 && text[0] == '4' && text[1] == '2') {
      if (c->state == READY)
        count(c, text, n);
      else if (tokens && !storming && n > 12 && !memcmp(text, "42[\"changes\"", 12))
        take_page(c, text, n);
      else if (storming && memmem(text, n < 400 ? n : 400, TAG, TAG_LEN))
        caught_up(c, count_tags(text, n));
    }
  } else if (c->state == OPENING && text[0] == '0') {
    c->state = CONNECTING;
    if (tokens)
      say(c, "40{\"token\":\"%s\"}", tokens[c->index % token_count]);
    else if (recovery && storming && c->pid[0])
      say(c, "40{\"pid\":\"%s\",\"offset\":\"%s\"}", c->pid, c->offset);
    else
      say(c, "40");
  } else if (c->state == CONNECTING && n >= 2 && text[0] == '4') {
    if (recovery && storming && text[1] == '2')
      caught_up(c, count_tags(text, n));
    else if (text[1] == '0')
      on_connected(c, text, n);
    else
      fail(5, "CONNECT: %.*s", n < 300 ? n : 300, text);
  }
}

static int on_frames(Conn *c, int at) {
  while (c->in_len - at >= 2) {
    uint8_t *b = c->in + at;
    uint64_t n = b[1] & 127;
    int head = 2;
    if (n == 126) {
      if (c->in_len - at < 4) break;
      n = b[2] << 8 | b[3];
      head = 4;
    } else if (n == 127) {
      if (c->in_len - at < 10) break;
      n = 0;
      for (int i = 2; i < 10; i++) n = n << 8 | b[i];
      head = 10;
    }
    if ((uint64_t)(c->in_len - at) < head + n) break;
    int kind = b[0] & 15;
    if (kind == 1)
      on_text(c, (char *)b + head, (int)n);
    else if (kind == 8)
      fail(2, "the server closed connection %d, code %d", c->index, n >= 2 ? b[head] << 8 | b[head + 1] : 0);
    else if (kind == 9)
      put(c, "\x8a\x80\0\0\0\0", 6), flush(c);
    at += head + (int)n;
  }
  return at;
}

static void on_readable(Conn *c) {
  for (;;) {
    if (c->in_cap - c->in_len < 4096) c->in = realloc(c->in, c->in_cap *= 2);
    int room_left = c->in_cap - c->in_len;
    ssize_t n = net_recv(c->fd, c->tls, c->in + c->in_len, room_left);
    if (n < 0) {
      if (errno == EAGAIN) return;
      fail(2, "recv: %s", strerror(errno));
    }
    if (n == 0) fail(2, "the server hung up on connection %d in state %d", c->index, c->state);
    c->in_len += n;
    bytes += n;
    int at = 0;
    if (c->state == HTTP) {
      uint8_t *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
      if (!end) continue;
      if (memcmp(c->in, "HTTP/1.1 101", 12)) fail(3, "handshake: %.*s", c->in_len < 200 ? c->in_len : 200, c->in);
      at = end + 4 - c->in;
      c->state = OPENING;
    }
    at = on_frames(c, at);
    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
    if (!net_more(c->tls, n == room_left)) return;
  }
}

/* Handle what is there; wait at most so many milliseconds for it. Returns the number of events. */
static int turn(int wait) {
  static struct epoll_event events[512];
  int n = epoll_wait(epoll, events, 512, wait);
  clock_now = now();
  for (int i = 0; i < n; i++) {
    Conn *c = events[i].data.ptr;
    if (c->state == CLOSED) continue;
    if (c->state == SHAKING) {
      ask(c);
      if (c->state == SHAKING) continue;
    }
    if (events[i].events & EPOLLOUT) flush(c);
    if (events[i].events & ~EPOLLOUT) on_readable(c);
  }
  return n;
}

static void nap(long nanoseconds) {
  struct timespec t = {0, nanoseconds};
  nanosleep(&t, 0);
}

#include "gen_runs.h"
#include "gen_options.h"

int main(int argc, char **argv) {
  read_options(argc, argv);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  total = rooms * members;
  conns = calloc(total, sizeof *conns);
  for (int i = 0; i < total; i++) conns[i].index = i, conns[i].room = i / members, conns[i].fd = -1;
  struct timespec day;
  clock_gettime(CLOCK_REALTIME, &day);
  begun_ms = day.tv_sec * 1000ull + day.tv_nsec / 1000000;
  outstanding = calloc(rooms, sizeof *outstanding);
  next_sender = calloc(rooms, sizeof *next_sender);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (idle)
    run_idle();
  else if (missed >= 0)
    run_storm();
  else
    run_fanout();
  return 0;
}
