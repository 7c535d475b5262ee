/* Copyright (c) 2026, the collab.rtc authors
 * GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The load generator's options, as the head of gen.c says them. */

/* "NUMBER,NUMBER": eight at most; how many there are. */
static int read_numbers(const char *list, int *numbers) {
  int count = 0;
  for (char *end; *list; list = *end ? end + 1 : end) {
    if (count == 8) fail(1, "too many: %s", list);
    numbers[count++] = (int)strtol(list, &end, 10);
    if (end == list || (*end && *end != ',')) fail(1, "wrong at %s", list);
  }
  return count;
}

static void read_tokens(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) fail(1, "%s: %s", path, strerror(errno));
  char line[9000];
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    tokens = realloc(tokens, (token_count + 1) * sizeof *tokens);
    tokens[token_count++] = strdup(line);
  }
  fclose(file);
  if (!token_count) fail(1, "%s: no token", path);
}

static void read_options(int argc, char **argv) {
  int tls = 0;
  for (int o; (o = getopt(argc, argv, "p:r:m:d:w:R:s:C:k:b:W:n:c:S:vT")) != -1;) switch (o) {
      case 'p': port_count = read_numbers(optarg, ports); break;
      case 'r': rooms = atoi(optarg); break;
      case 'm': members = atoi(optarg); break;
      case 'd': seconds = atof(optarg); break;
      case 'w': window = atoi(optarg); break;
      case 'R': rate = atof(optarg); break;
      case 's': server_count = read_numbers(optarg, servers); break;
      case 'C': idle = atoi(optarg); break;
      case 'k': at_once = atoi(optarg); break;
      case 'b': size = atoi(optarg); break;
      case 'W': warm = atof(optarg); break;
      case 'n': prefix = optarg; break;
      case 'c': read_tokens(optarg); break;
      case 'S': missed = atoi(optarg); break;
      case 'v': recovery = 1; break;
      case 'T': tls = 1; break;
      default: exit(1);
    }
  if (idle) rooms = 1, members = idle;
  if (!port_count || rooms < 1 || members < 1 || size < 60 || size > 3000 || (!idle && missed < 0 && !window && rate <= 0))
    fail(1, "wrong usage: see the head of gen.c");
  if (tls) net_use_tls(idle ? 0 : 1 << 16);
}
