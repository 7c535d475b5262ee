/* Copyright (c) 2026, the collab.rtc authors
 * GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The figures of gen.c and its three kinds of run.
 */

/* --- figures -------------------------------------------------------------------------------------------- */

typedef struct {
  double server_cpu, front_cpu, own_cpu; /* seconds: of all -s, of those but the first, of this process */
  long rss_kb;
} Usage;

static Usage usage(void) {
  Usage u = {0};
  struct rusage own;
  getrusage(RUSAGE_SELF, &own);
  u.own_cpu = own.ru_utime.tv_sec + own.ru_stime.tv_sec + (own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
  for (int i = 0; i < server_count; i++) {
    char name[64], text[1024];
    snprintf(name, sizeof name, "/proc/%d/stat", servers[i]);
    FILE *file = fopen(name, "r");
    if (!file) fail(2, "%s: %s", name, strerror(errno));
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    char *at = strrchr(text, ')');
    unsigned long user, system;
    long pages;
    if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %ld",
                      &user, &system, &pages) != 3)
      continue;
    double took = (user + system) / (double)sysconf(_SC_CLK_TCK);
    u.server_cpu += took;
    u.front_cpu += i ? took : 0;
    u.rss_kb += pages * (sysconf(_SC_PAGESIZE) / 1024);
  }
  return u;
}

static double percentile(double share) {
  uint64_t sum = 0;
  for (int i = 0; i < BUCKETS; i++)
    if ((sum += histogram[i]) >= counted * share && sum) return (i + .5) / 100;
  return 0;
}

/* --- the three kinds of run ------------------------------------------------------------------------------ */

/* Open every connection that is closed, so many at once; returns the seconds it took. */
static double open_all(int wanted) {
  uint64_t begin = now(), last = begin;
  int before = ready;
  while (ready < wanted) {
    while (started < total && handshakes < at_once) {
      if (conns[started].state == CLOSED) start(&conns[started]);
      started++;
    }
    turn(1000);
    if (ready != before) before = ready, last = now();
    if (now() - last > 20000000000ull) fail(4, "nobody came in for 20 s: %d of %d are ready", ready, wanted);
  }
  return (now() - begin) / 1e9;
}

static void run_idle(void) {
  Usage before = usage();
  double took = open_all(total);
  Usage after = usage();
  for (uint64_t end = now() + (uint64_t)(seconds * 1e9); now() < end;) turn(100);
  Usage later = usage();
  printf("{\"mode\":\"idle\",\"connections\":%d,\"seconds\":%.3f,\"per_second\":%.0f,"
         "\"server_cpu_s\":%.2f,\"gen_cpu\":%.3f,"
         "\"kb_each\":%.2f}\n",
         total, took, total / took, after.server_cpu - before.server_cpu, (after.own_cpu - before.own_cpu) / took,
         (later.rss_kb - before.rss_kb) / (double)total);
}

static void await_all(const char *what) {
  uint64_t begin = now();
  for (;;) {
    int64_t left = 0;
    for (int r = 0; r < rooms; r++) left += outstanding[r] > 0 ? outstanding[r] : 0;
    if (left == 0) return;
    if (now() - begin > 20000000000ull) fail(4, "%s: %lld messages never came", what, (long long)left);
    turn(100);
  }
}

static void run_storm(void) {
  open_all(total);
  for (int r = 0; r < rooms; r++) send_message(r, now(), 0); /* everybody has an offset or revision now */
  await_all("first message");
  for (int i = 0; i < total; i++)
    if (i % members) {
      net_close(conns[i].fd, conns[i].tls);
      conns[i].state = CLOSED;
      ready--;
    }
  nap(500000000);
  acks = 0;
  storming = 1;
  for (int k = 0; k < missed; k++) {
    for (int r = 0; r < rooms; r++) send_message(r, now(), 1);
    uint64_t begin = now();
    while (acks < (uint64_t)(k + 1) * rooms) {
      turn(100);
      if (now() - begin > 20000000000ull) fail(4, "message %d was not acknowledged", k);
    }
  }
  started = 0;
  Usage before = usage();
  double took = open_all(total);
  Usage after = usage();
  int back = total - rooms;
  printf("{\"mode\":\"storm\",\"clients\":%d,\"missed\":%d,\"seconds\":%.3f,\"per_second\":%.0f,\"server_cpu_s\":%.2f,"
         "\"gen_cpu\":%.3f,\"rss_mb\":%.0f}\n",
         back, missed, took, back / took, after.server_cpu - before.server_cpu, (after.own_cpu - before.own_cpu) / took,
         after.rss_kb / 1024.0);
}

static void run_fanout(void) {
  open_all(total);
  prctl(PR_SET_TIMERSLACK, 1);
  for (uint64_t end = now() + 300000000ull; now() < end;) turn(10); /* who came is told within this time */
  uint64_t begin = now(), from = begin + (uint64_t)(warm * 1e9), end = from + (uint64_t)(seconds * 1e9);
  uint64_t due = 0, sent_before = 0, bytes_before = 0, late_before = 0;
  Usage before = {0};
  int room = 0;
  for (;;) {
    uint64_t t = now();
    if (!measuring && t >= from) {
      measuring = 1;
      from = t;
      before = usage();
      sent_before = sent, bytes_before = bytes, late_before = late;
    }
    if (t >= end) break;
    if (window) {
      for (int r = 0; r < rooms; r++)
        while (outstanding[r] <= (int64_t)(window - 1) * (members - 1)) send_message(r, now(), 0);
    } else {
      for (uint64_t at; (at = begin + (uint64_t)(due * 1e9 / rate)) <= t; due++, room = (room + 1) % rooms) {
        if (t > at + 20000000) late++;
        send_message(room, at, 0);
      }
    }
    nap(50000); /* to wake a sleeper for every packet would cost the server more than its work */
    turn(0);
  }
  double took = (now() - from) / 1e9;
  Usage after = usage();
  int64_t left = 0;
  for (int r = 0; r < rooms; r++) left += outstanding[r];
  printf("{\"mode\":\"%s\",\"rooms\":%d,\"members\":%d,\"sent_s\":%.0f,\"deliveries_s\":%.0f,"
         "\"mb_s\":%.1f,\"p50_ms\":%.2f,"
         "\"p99_ms\":%.2f,\"p999_ms\":%.2f,\"max_ms\":%.1f,\"server_cpu\":%.3f,\"front_cpu\":%.3f,\"gen_cpu\":%.3f,"
         "\"late\":%.4f,\"outstanding\":%lld,\"rss_mb\":%.0f,\"tls\":\"%s\"}\n",
         window ? "closed" : "open", rooms, members, (sent - sent_before) / took, delivered / took,
         (bytes - bytes_before) / took / 1e6, percentile(.5), percentile(.99), percentile(.999), worst / 100.0,
         (after.server_cpu - before.server_cpu) / took, (after.front_cpu - before.front_cpu) / took,
         (after.own_cpu - before.own_cpu) / took,
         sent > sent_before ? (late - late_before) / (double)(sent - sent_before) : 0,
         (long long)left, after.rss_kb / 1024.0,
         net_name());
}
