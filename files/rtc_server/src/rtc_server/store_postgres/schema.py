# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and functions of the store, by version.

A release reads and writes its own version and the one before, so that old and new servers run together while servers
are upgraded one after another. Whoever brings a change of the schema that this release could not bear raises ``NEEDS``
in the store's meta: older releases refuse it then. The functions' names end in the number of their form.
"""

from __future__ import annotations

VERSION = 1  # what this release makes
OLDEST = 1  # what it can use
LOCK = 0x52544331  # "RTC1": the advisory lock under which the schema is made

# STEPS[n] brings a store of version n to version n + 1; each runs in one transaction.
STEPS: dict[int, str] = {
    0: """
CREATE SCHEMA IF NOT EXISTS rtc;
CREATE TABLE rtc.meta (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE rtc.project (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text COLLATE "C" NOT NULL UNIQUE,
  epoch text NOT NULL,
  revision bigint NOT NULL DEFAULT 0,
  base bigint NOT NULL DEFAULT 0,               -- changes after it can be read
  cleaned bigint NOT NULL DEFAULT 0,            -- changes up to it have no data any more
  forgotten bigint NOT NULL DEFAULT 0,          -- ids up to it are forgotten
  bytes bigint NOT NULL DEFAULT 0,              -- what it keeps, with 100 for each change
  snapshot_revision bigint NOT NULL DEFAULT 0,
  snapshot text
) WITH (fillfactor = 50);                       -- revisions are updated in place
CREATE TABLE rtc.change (
  project bigint NOT NULL,
  revision bigint NOT NULL,
  author text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  data text NOT NULL,
  PRIMARY KEY (project, revision)
);
CREATE INDEX unclean ON rtc.project (number) WHERE cleaned < base;
CREATE INDEX change_id ON rtc.change (project, author, id);
INSERT INTO rtc.meta VALUES ('version', '1'), ('needs', '1'),
  ('epoch', left(replace(gen_random_uuid()::text, '-', ''), 16));

-- One round. Result: position, 0 kept | 1 known | 2 ids forgotten | 3 quota, revision, time, and of a known change
-- its data where they differ in their text.
CREATE FUNCTION rtc.append_1(names text[], authors text[], ids text[], datas text[], sinces bigint[], quota bigint)
RETURNS TABLE (pos int, code int, revision bigint, at bigint, data text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE now_ms bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
BEGIN
  INSERT INTO rtc.project (name, epoch)
    SELECT n, (SELECT value FROM rtc.meta WHERE key = 'epoch')
    FROM (SELECT DISTINCT unnest(names) COLLATE "C" AS n) x
    WHERE NOT EXISTS (SELECT 1 FROM rtc.project p WHERE p.name = x.n) ORDER BY n ON CONFLICT DO NOTHING;
  -- In one order at all servers, so that two rounds never wait for each other. A lock of a row is written to the log,
  -- so the commit of a round that finds nothing but known changes waits for the standby, too.
  PERFORM 1 FROM rtc.project p WHERE p.name = ANY (names) ORDER BY p.name FOR NO KEY UPDATE;
  RETURN QUERY
  WITH asked AS (
    SELECT o::int AS pos, p.number, p.revision AS head, p.forgotten, p.bytes, u.author, u.id, u.data, u.since
    FROM unnest(names, authors, ids, datas, sinces) WITH ORDINALITY AS u (name, author, id, data, since, o)
    JOIN rtc.project p ON p.name = u.name),
  known AS (
    SELECT DISTINCT ON (a.pos) a.pos, c.revision, c.at, CASE WHEN c.data <> a.data THEN c.data END AS data
    FROM asked a JOIN rtc.change c ON c.project = a.number AND c.author = a.author AND c.id = a.id
    ORDER BY a.pos, c.revision DESC),
  fresh AS (
    SELECT a.*, a.since < a.forgotten AS unknowable, CASE WHEN a.since < a.forgotten THEN 0
      ELSE 100 + octet_length(a.data) END AS size
    FROM asked a WHERE NOT EXISTS (SELECT 1 FROM known k WHERE k.pos = a.pos)),
  weighed AS (
    SELECT f.*, f.bytes + sum(f.size) OVER (PARTITION BY f.number ORDER BY f.pos) > quota AS heavy FROM fresh f),
  numbered AS (
    SELECT w.*, w.head + row_number() OVER (PARTITION BY w.number ORDER BY w.pos) AS revision
    FROM weighed w WHERE NOT w.unknowable AND NOT w.heavy),
  kept AS (
    INSERT INTO rtc.change SELECT n.number, n.revision, n.author, n.id, now_ms, n.data FROM numbered n),
  heads AS (
    UPDATE rtc.project p SET revision = m.last, bytes = p.bytes + m.size
    FROM (SELECT number, max(revision) AS last, sum(size) AS size FROM numbered GROUP BY number) m
    WHERE p.number = m.number RETURNING p.name, p.revision),
  told AS (SELECT pg_notify('rtc', 'r ' || h.revision || ' ' || h.name) FROM heads h)
  SELECT n.pos, 0, n.revision, now_ms, NULL::text FROM numbered n, (SELECT count(*) FROM told) t
  UNION ALL SELECT k.pos, 1, k.revision, k.at, k.data FROM known k
  UNION ALL SELECT w.pos, CASE WHEN w.unknowable THEN 2 ELSE 3 END, w.forgotten, 0, NULL FROM weighed w
    WHERE w.unknowable OR w.heavy;
END $$;

-- A snapshot. Result: whether it was taken, base, the last snapshot before, head.
CREATE FUNCTION rtc.compact_1(named text, snap bigint, content text, keep bigint, quota bigint)
RETURNS TABLE (taken boolean, base bigint, last bigint, head bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE p rtc.project;
BEGIN
  SELECT * INTO p FROM rtc.project WHERE name = named FOR NO KEY UPDATE;
  IF p.number IS NULL THEN RETURN QUERY SELECT false, 0::bigint, 0::bigint, 0::bigint; RETURN; END IF;
  IF snap = p.snapshot_revision AND content = p.snapshot THEN
    RETURN QUERY SELECT true, p.base, p.snapshot_revision, p.revision; RETURN; END IF;
  IF snap <= p.snapshot_revision OR snap > p.revision THEN
    RETURN QUERY SELECT false, p.base, p.snapshot_revision, p.revision; RETURN; END IF;
  UPDATE rtc.project SET snapshot = content, snapshot_revision = snap,
    base = greatest(p.base, snap - CASE WHEN 2 * p.bytes < quota THEN keep ELSE 0 END),
    bytes = bytes + octet_length(content) - coalesce(octet_length(p.snapshot), 0)
    WHERE number = p.number RETURNING rtc.project.base INTO p.base;
  PERFORM pg_notify('rtc', 's ' || snap || ' ' || named);
  RETURN QUERY SELECT true, p.base, snap, p.revision;
END $$;

-- Takes the data of some compacted changes away, then forgets ids from before
-- ``cut`` (milliseconds; 0: none, as that looks at every project). Result: rows touched.
CREATE FUNCTION rtc.clean_1(most bigint, cut bigint) RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE p rtc.project; reached bigint; freed bigint; rows bigint := 0;
BEGIN
  -- nobody waits for a standby: what a failover undoes is cleaned again
  PERFORM set_config('synchronous_commit', 'local', true);
  SELECT * INTO p FROM rtc.project WHERE cleaned < base LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
  IF p.number IS NOT NULL THEN
    reached := least(p.base, p.cleaned + most);
    WITH gone AS (SELECT project, revision, octet_length(data) AS size FROM rtc.change
      WHERE project = p.number AND revision > p.cleaned AND revision <= reached AND data <> ''),
    blank AS (UPDATE rtc.change c SET data = '' FROM gone g WHERE c.project = g.project AND c.revision = g.revision)
    SELECT count(*), coalesce(sum(size + 100), 0) INTO rows, freed FROM gone;
    UPDATE rtc.project SET cleaned = reached, bytes = bytes - freed WHERE number = p.number;
    RETURN rows + 1;
  END IF;
  IF cut <= 0 THEN RETURN 0; END IF;
  SELECT q.* INTO p FROM rtc.project q WHERE q.forgotten < q.cleaned AND
    (SELECT c.at FROM rtc.change c WHERE c.project = q.number AND c.revision > q.forgotten AND c.revision <= q.cleaned
     ORDER BY c.revision LIMIT 1) < cut LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
  IF p.number IS NULL THEN RETURN 0; END IF;
  SELECT coalesce(min(revision) FILTER (WHERE at >= cut) - 1, max(revision)) INTO reached FROM
    (SELECT revision, at FROM rtc.change WHERE project = p.number AND revision > p.forgotten AND revision <= p.cleaned
     ORDER BY revision LIMIT most) x;
  DELETE FROM rtc.change WHERE project = p.number AND revision > p.forgotten AND revision <= reached;
  GET DIAGNOSTICS rows = ROW_COUNT;
  UPDATE rtc.project SET forgotten = reached WHERE number = p.number;
  RETURN rows;
END $$;
""",
}
