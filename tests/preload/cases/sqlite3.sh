# sqlite3: 100,000 rows in memory, indexes, joins, updates, deletes, and a database file.
# needs: sqlite3
cat >script.sql <<'END'
CREATE TABLE t(id INTEGER PRIMARY KEY, k INTEGER, s TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO t SELECT i, i * 7919 % 10007, printf('row %d %s', i, hex(i * i)) FROM n;
CREATE INDEX by_k ON t(k);
CREATE INDEX by_s ON t(s);
SELECT count(*), sum(k), max(s) FROM t;
SELECT k, count(*), group_concat(id) FROM t GROUP BY k ORDER BY 2 DESC, k LIMIT 5;
UPDATE t SET s = s || s WHERE k % 3 = 0;
DELETE FROM t WHERE k % 5 = 0;
SELECT count(*), sum(length(s)) FROM t;
SELECT a.id, b.id FROM t a JOIN t b ON a.k = b.k + 1 WHERE a.id < 200 ORDER BY 1, 2 LIMIT 5;
SELECT json_group_array(k) FROM (SELECT DISTINCT k FROM t ORDER BY k LIMIT 10);
PRAGMA integrity_check;
END
sqlite3 :memory: <script.sql
sqlite3 file.db <script.sql
sqlite3 file.db 'VACUUM; SELECT count(*) FROM t;' .schema
