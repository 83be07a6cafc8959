# A load ten times as large as the memory for it: completes, at the speed of flushing, and everything is
# there afterwards, in files.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use M3dbTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $batches = 18;
my $rows = 800_000;    # of a batch; values are random to the last bit, so 10 bytes a point and more

my $node = new_server('small', conf => <<'CONF');
m3db.buffer_size = 16MB
m3db.write_wait_timeout = 120s
m3db.tick_interval = 1s
m3db.snapshot_interval = 2s
m3db.snapshot_min_log_size = 8MB
m3db.commitlog_max_size = 16MB
CONF
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE m (ts timestamptz NOT NULL, host text, v float8)
  SERVER m3 OPTIONS (block_size '6 hours');
-- value and time of the i-th row, without a row to keep them in
CREATE FUNCTION value_of(i bigint) RETURNS float8 LANGUAGE sql IMMUTABLE
  RETURN hashint8extended(i, 0)::float8 / 1e9;
SQL

# Each batch is one transaction; blocks are written in order of time, and again by the next batch.
my $row = "timestamptz '2026-03-01 00:00+00' + i * interval '50 ms', 'h-' || i % 10, value_of(i)";
my $script = join(";\n", map {
	"INSERT INTO m SELECT $row FROM generate_series($_ * ${rows}::bigint + 1, ($_ + 1) * ${rows}::bigint) i"
} 0 .. $batches - 1);
my ($status, $out, $err) = $node->psql('postgres', $script, on_error_stop => 1);
is($status, 0, 'a load of ten times the memory completes') or diag($err);

my $question = 'SELECT host, count(*), min(ts), max(ts), sum(hashfloat8(v)::bigint) FROM %s GROUP BY host ORDER BY host';
my $total = $batches * $rows;
my $truth = "(SELECT t.* FROM generate_series(1, ${total}::bigint) i, LATERAL (SELECT $row) t (ts, host, v)) t";
my $answer = $node->safe_psql('postgres', sprintf($question, $truth));
is($node->safe_psql('postgres', sprintf($question, 'm')), $answer, 'everything is there');
cmp_ok($node->safe_psql('postgres', q{SELECT sum(bytes) FROM m3db.stat_commitlog}), '>', 160 << 20,
	'it was ten times as large');
is($node->safe_psql('postgres', q{SELECT count(*) FROM m3db.stat_jobs WHERE failures > 0}), '0', 'no job has failed');
crash_postmaster($node);
start_again($node);
is($node->safe_psql('postgres', sprintf($question, 'm')), $answer, 'and after a crash');
$node->stop;
done_testing();
