# A server that was stopped, cleanly or not, gives the same answers when it is back.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use M3dbTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');
create_tables($node);
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE exact (t bigint OPTIONS (role 'time_ns'), name text, v float8, annotation bytea)
  SERVER m3 OPTIONS (block_size '2 hours');
SQL

my @questions = (
	'SELECT count(*), min(ts), max(ts), sum(usage) FROM narrow',
	'SELECT host, count(*), min(usage), max(usage) FROM narrow GROUP BY host ORDER BY host',
	'SELECT md5(string_agg(w::text, chr(10) ORDER BY ts, host)) FROM wide w',
	q(SELECT count(*), count(a), count(b), count(c) FROM wide WHERE host = 'h3'),
	q(SELECT t, name, float8send(v), annotation FROM exact ORDER BY name, t),
	'SELECT name, series FROM m3db.namespaces ORDER BY name');

sub answers { return join("\n--\n", map { $node->safe_psql('postgres', $_) } @questions); }

sub write_some
{
	my ($start) = @_;
	$node->safe_psql('postgres', <<SQL);
INSERT INTO narrow
  SELECT timestamptz '2026-02-01 00:00+00' + i * interval '17 seconds', 'h' || i % 7, i / 8.0
    FROM generate_series($start, $start + 9999) i;
INSERT INTO wide
  SELECT timestamptz '2026-02-01 00:00+00' + i * interval '61 seconds', 'h' || i % 5,
         CASE WHEN i % 3 <> 0 THEN i END, i * 0.1, CASE WHEN i % 7 = 0 THEN -i END
    FROM generate_series($start, $start + 1999) i;
INSERT INTO exact
  SELECT 1769904000000000000 + i::bigint * 1234567891, 'e',
         CASE i % 5 WHEN 0 THEN 'NaN'::float8 WHEN 1 THEN '-0'::float8 WHEN 2 THEN 'Infinity'::float8
           WHEN 3 THEN '5e-324'::float8 ELSE 0.1 * i END,
         CASE WHEN i % 4 = 0 THEN decode(lpad(to_hex(i), 8, '0'), 'hex') END
    FROM generate_series($start, $start + 99) i;
-- over what is there, and before it
INSERT INTO narrow
  SELECT timestamptz '2026-02-01 00:00+00' + i * interval '17 seconds', 'h' || i % 7, -i
    FROM generate_series($start + 5000, $start + 5100) i;
INSERT INTO narrow VALUES ('2025-06-01 00:00+00', 'old', $start);
SQL
	return;
}

sub same_after
{
	my ($how, $stop) = @_;
	my $before = answers();
	$stop->();
	is(answers(), $before, "the same answers after $how");
	return;
}

for my $time (1, 2)
{
	write_some($time * 10_000);
	same_after("a clean restart, $time", sub { $node->restart });
	same_after("another one with nothing written, $time", sub { $node->restart });
	write_some($time * 10_000 + 100_000);
	same_after("an immediate stop, $time", sub { $node->stop('immediate'); $node->start });
	same_after("an immediate stop at once, $time",
		sub { $node->stop('immediate'); $node->start });
	write_some($time * 10_000 + 200_000);
	same_after("kill -9, $time", sub { crash_postmaster($node); start_again($node) });
}

# Many databases: each has a root of its own.
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', <<'SQL');
CREATE EXTENSION m3db_fdw;
CREATE SERVER m3 FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE narrow (ts timestamptz NOT NULL, host text, usage float8) SERVER m3;
INSERT INTO narrow VALUES ('2026-02-01 00:00+00', 'other', 42);
SQL
same_after('a restart with two databases', sub { $node->restart });
is($node->safe_psql('second', 'SELECT host, usage FROM narrow'), 'other|42',
	'the other database has its own rows');

# A transaction open while the server stops has not happened.
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe(q(BEGIN; INSERT INTO narrow VALUES ('2027-01-01 00:00+00', 'never', 1)));
$node->restart;
is($node->safe_psql('postgres', q(SELECT count(*) FROM narrow WHERE host = 'never')), '0',
	'an open transaction ends with the server');
eval { $session->quit };

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal (?!9\b)/,
	'no crash of our own');
$node->stop;

done_testing();
