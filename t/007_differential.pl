# Random writes to tables of ours and to plain tables, then random questions to both: the
# answers are the same, also inside an open transaction and after a crash.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use M3dbTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{M3DB_ROUNDS} // 10;
my $writes_per_round = 8;
my $questions_per_round = 30;
seed(7);

my $node = new_server('main');
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE m_narrow (ts timestamptz NOT NULL, host text, region text, v float8)
  SERVER m3 OPTIONS (block_size '2 hours');
CREATE FOREIGN TABLE m_wide (ts timestamptz NOT NULL, host text, a float8, b float8, c float8)
  SERVER m3;
CREATE FOREIGN TABLE m_exact (t bigint OPTIONS (role 'time_ns'), host text, port int, v float8)
  SERVER m3 OPTIONS (block_size '1 hour');

-- The same rows as they were written; seq orders them.
CREATE TABLE w_narrow (ts timestamptz, host text, region text, v float8, seq bigserial);
CREATE TABLE w_wide (ts timestamptz, host text, a float8, b float8, c float8, seq bigserial);
CREATE TABLE w_exact (t bigint, host text, port int, v float8, seq bigserial);

-- What that amounts to: of two values for one series and time the later wins.
CREATE VIEW p_narrow AS
  SELECT DISTINCT ON (ts, host, region) ts, host, region, v
    FROM w_narrow WHERE v IS NOT NULL ORDER BY ts, host, region, seq DESC;
CREATE VIEW p_wide AS
  SELECT ts, host,
         (array_agg(a ORDER BY seq DESC) FILTER (WHERE a IS NOT NULL))[1] AS a,
         (array_agg(b ORDER BY seq DESC) FILTER (WHERE b IS NOT NULL))[1] AS b,
         (array_agg(c ORDER BY seq DESC) FILTER (WHERE c IS NOT NULL))[1] AS c
    FROM w_wide WHERE num_nonnulls(a, b, c) > 0 GROUP BY ts, host;
CREATE VIEW p_exact AS
  SELECT DISTINCT ON (t, host, port) t, host, port, v
    FROM w_exact WHERE v IS NOT NULL ORDER BY t, host, port, seq DESC;
CREATE TABLE racks (host text, rack int);
INSERT INTO racks SELECT 'h' || i, i % 3 FROM generate_series(0, 9) i;
SQL

sub pick { return $_[ rand @_ ]; }

my $base = 1775001600;    # 2026-04-01 00:00 UTC

sub some_seconds { return int(rand(3 * 86400) / 37) * 37 + pick(0, 0, 0, 0.5, 0.000001, 0.999999); }

sub some_time { return sprintf("to_timestamp(%d + %.6f)", $base, some_seconds()); }

sub some_ns { return sprintf('%d%09d', $base + int(rand(7200)), pick(0, 1, 999999999, int(rand(1e9)))); }

sub some_host { return pick(map({ "'h$_'" } 0 .. 6), 'NULL', q(''), q('a''b'), q('über'), q('x y,z=1')); }

sub some_region { return pick(q('eu'), q('us'), q('eu'), 'NULL'); }

sub some_port { return pick(80, 443, -1, 'NULL'); }

sub some_value
{
	return pick(
		int(rand(10)), int(rand(2000)) - 1000, sprintf('%.2f', rand(100)), sprintf('%.2f', rand(100)),
		rand(1), -rand(1e9), rand(1e-9), q('NaN'), q('Infinity'), q('-Infinity'), q('-0'), 0,
		'5e-324', '1.7976931348623157e308', '9007199254740993', '0.1', '1e22', '123456789.123');
}

sub some_value_or_null { return rand() < 0.3 ? 'NULL' : some_value(); }

# Statements as templates: %s is the prefix of the table, m_ or w_.
my %columns = (
	narrow => '(ts, host, region, v)', wide => '(ts, host, a, b, c)', exact => '(t, host, port, v)');

sub some_row
{
	my ($table) = @_;
	return join(', ', some_time(), some_host(), some_region(), some_value() . '::float8')
	  if $table eq 'narrow';
	return join(', ', some_ns() . '::bigint', some_host(), some_port(), some_value() . '::float8')
	  if $table eq 'exact';
	my @values = map { some_value_or_null() . '::float8' } 1 .. 3;
	$values[ rand 3 ] = some_value() . '::float8';
	return join(', ', some_time(), some_host(), @values);
}

# A run of one or more series, in or out of order, with repetitions.
sub some_run
{
	my ($table) = @_;
	my $count = pick(50, 300, 1500);
	my ($start, $step) = (int(some_seconds()), pick(1, 37, 74, 600));
	my $order = pick('i', 'i DESC', "i * 7919 % $count, i");
	my $over = pick(1, 1, 2);    # each time that often
	my $value = pick('i', 'i * 0.1', 'sin(i)', "CASE WHEN i % 11 = 0 THEN 'NaN' ELSE i / 8.0 END");
	my $host = pick(some_host(), "'h' || i % 7");
	my $series = "generate_series(0, $count - 1) i, generate_series(1, $over) again";
	return "SELECT to_timestamp($base + $start + i * $step), $host, " . some_region()
	  . ", ($value)::float8 + again FROM $series ORDER BY $order, again"
	  if $table eq 'narrow';
	return 'SELECT ' . some_ns() . " + i::bigint * " . pick(1, 1000, 1000000007)
	  . ", $host, i % 3, ($value)::float8 + again FROM $series ORDER BY $order, again"
	  if $table eq 'exact';
	return "SELECT to_timestamp($base + $start + i * $step), $host, ($value)::float8 + again,"
	  . " CASE WHEN i % 3 = 0 THEN i END::float8, CASE WHEN i % 2 = 0 THEN -i * 0.5 END::float8"
	  . " FROM $series ORDER BY $order, again";
}

sub some_statement
{
	my $table = pick(qw(narrow narrow wide wide exact));
	my $insert = "INSERT INTO %s$table $columns{$table} ";
	my $kind = rand;
	return $insert . 'VALUES (' . some_row($table) . ')' if $kind < 0.2;
	return $insert . 'VALUES ' . join(', ', map { '(' . some_row($table) . ')' } 1 .. 1 + int(rand(40)))
	  if $kind < 0.5;
	return $insert . some_run($table);
}

# What both kinds of table go through, as one transaction each or as one for both.
sub some_transaction
{
	my $kind = rand;
	my @statements = (some_statement());
	push @statements, some_statement() while rand() < 0.4;
	return @statements if $kind < 0.5;
	return ('SAVEPOINT s', some_statement(), 'ROLLBACK TO s', @statements) if $kind < 0.65;
	return (@statements, 'SAVEPOINT s', some_statement(), 'RELEASE s') if $kind < 0.75;
	return (@statements, 'SAVEPOINT s', some_statement(), 'SAVEPOINT t', some_statement(),
		'ROLLBACK TO t', some_statement(), 'ROLLBACK TO s')
	  if $kind < 0.85;
	return (@statements, 'ROLLBACK');
}

sub sql_for
{
	my ($prefix, @statements) = @_;
	my @sql = map { sprintf(s/%(?!s)/%%/gr, $prefix) } @statements;
	push @sql, 'COMMIT' unless $sql[-1] eq 'ROLLBACK';
	return join('', map { "$_;\n" } 'BEGIN', @sql);
}

sub write_random
{
	my @statements = some_transaction();
	if (rand() < 0.5)
	{
		$node->safe_psql('postgres', sql_for('m_', @statements));
		$node->safe_psql('postgres', sql_for('w_', @statements));
	}
	else
	{
		my @both = map { my $s = $_; $s =~ /%s/ ? map { $s =~ s/%s/$_/r } qw(m_ w_) : $s } @statements;
		$node->safe_psql('postgres', sql_for('', @both));
	}
	return;
}

# Two transactions at a time: the one that commits last wins, whoever wrote first.
sub write_interleaved
{
	my @sessions = map { $node->background_psql('postgres') } 0, 1;
	my @written = ([], []);
	$_->query_safe('BEGIN') for @sessions;
	for (1 .. 6)
	{
		my $who = int(rand 2);
		my $statement = some_statement();
		push @{ $written[$who] }, $statement;
		$sessions[$who]->query_safe(sprintf($statement =~ s/%(?!s)/%%/gr, 'm_'));
	}
	for my $who (rand() < 0.5 ? (0, 1) : (1, 0))
	{
		$sessions[$who]->query_safe('COMMIT');
		$node->safe_psql('postgres', sql_for('w_', @{ $written[$who] })) if @{ $written[$who] };
	}
	$_->quit for @sessions;
	return;
}

sub time_condition
{
	my ($table) = @_;
	my ($column, $from, $to) = $table eq 'exact'
	  ? ('t', some_ns(), some_ns()) : ('ts', some_time(), some_time());
	return pick('true', "$column >= $from", "$column < $to", "$column >= $from AND $column < $to",
		"$column BETWEEN least($from, $to) AND greatest($from, $to)",
		"$column > $from AND $column <= $from + " . ($table eq 'exact' ? '600000000000' : "interval '3 hours'"),
		"$column = $from", "$column >= (SELECT $from)", "NOT $column > $to",
		"($column < $from OR $column > $to)");
}

sub tag_condition
{
	my $host = some_host();
	$host = "'h1'" if $host eq 'NULL';
	return pick('true', 'true', "host = $host", "$host = host", "host IN ('h1', 'h2', 'none')", "host <> $host",
		"host NOT IN ('h1', $host)", 'host IS NULL', 'host IS NOT NULL', "host LIKE 'h%'",
		"host NOT LIKE '%2'", "host ~ '^h[0-3]\$'", "host !~ 'h'", "host = ANY (ARRAY['h3', NULL, $host])",
		"host IS DISTINCT FROM $host", "host > 'h3'", "(host = 'h1' OR host IS NULL)", "upper(host) = 'H1'",
		"host = (SELECT 'h4')", "host = 'h1' AND host = 'h2'", "length(host) > 2");
}

sub more_condition
{
	my ($table) = @_;
	return pick('true', 'true', 'true', "region = 'eu'", "region IS NULL", 'v > 0', "v <> 'NaN'",
		"region IN ('us', 'eu') AND v < 100") if $table eq 'narrow';
	return pick('true', 'true', 'port = 80', 'port IN (80, 443)', 'port IS NULL', 'port < 100', 'v = 1')
	  if $table eq 'exact';
	return pick('true', 'true', 'a IS NOT NULL', 'b IS NULL', 'b > 10', 'a IS NOT NULL AND c IS NULL',
		'coalesce(a, b, c) < 50');
}

# A question as a query with %s for the prefix; its rows can be compared as they are.
sub some_question
{
	my $table = pick(qw(narrow narrow wide wide exact));
	my %key = (narrow => 'ts, host, region', wide => 'ts, host', exact => 't, host, port');
	my %send = (narrow => 'float8send(v)', wide => 'float8send(a), float8send(b), float8send(c)',
		exact => 'float8send(v)');
	my $time = $table eq 'exact' ? 't' : 'ts';
	my $value = $table eq 'wide' ? pick(qw(a b c)) : 'v';
	my $where = join(' AND ', time_condition($table), tag_condition(), more_condition($table));
	my $from = "FROM %s$table q WHERE $where";
	# minus zero and zero are equal: which of them is the least is nobody's business
	my $figures = "count(*), count($value), float8send(min($value) + 0), float8send(max($value) + 0),"
	  . " sum(CASE WHEN abs($value) < 1e9 THEN ${value}::numeric(20, 6) END)";
	my $bucket = $table eq 'exact' ? 't / 600000000000'
	  : pick("date_trunc('hour', ts)", "date_bin('15 minutes', ts, 'epoch')");

	return pick(
		"SELECT $key{$table}, $send{$table} $from",
		"SELECT $key{$table}, $send{$table} $from",
		"SELECT $time, float8send($value) $from",
		"SELECT host $from",
		"SELECT $figures $from",
		"SELECT count(*) FROM %s$table q",
		"SELECT host, $figures $from GROUP BY host",
		"SELECT $bucket, $figures $from GROUP BY 1",
		"SELECT $bucket, host, $figures $from GROUP BY 1, 2",
		"SELECT DISTINCT host $from",
		"SELECT row_number() OVER () AS place, s.* FROM (SELECT $key{$table}, $send{$table} $from"
		  . " ORDER BY $key{$table} LIMIT " . int(rand(50)) . ') s',
		"SELECT row_number() OVER () AS place, s.* FROM (SELECT $key{$table} $from"
		  . " ORDER BY $time DESC, $key{$table} LIMIT " . int(rand(50)) . ' OFFSET ' . pick(0, 3) . ') s',
		"SELECT row_number() OVER () AS place, s.* FROM (SELECT host, $time, float8send($value) $from"
		  . " ORDER BY host, $key{$table}) s",
		"SELECT r.rack, $figures FROM %s$table q JOIN racks r USING (host) WHERE $where GROUP BY 1",
		"SELECT r.host, l.* FROM racks r LEFT JOIN LATERAL (SELECT max($time), count(*) FROM %s$table q"
		  . " WHERE q.host = r.host AND " . time_condition($table) . ') l ON true',
		"SELECT x.host, count(*) FROM %s$table x JOIN %s$table q ON x.$time = q.$time AND x.host = q.host"
		  . ' WHERE q.' . pick("host = 'h1'", "host LIKE 'h%%'") . ' GROUP BY 1');
}

my ($asked, $rows) = (0, 0);

# Lines of a comparison that differ; nothing when the answers are the same.
sub compare_sql
{
	my ($question) = @_;
	# everything but the table's prefix is meant literally
	my ($ours, $plain) = map { my $p = $_; my $q = $question; $q =~ s/%s/$p/g; $q =~ s/%%/%/g; $q } qw(m_ p_);
	return ($ours, "WITH m AS MATERIALIZED ($ours), p AS MATERIALIZED ($plain)"
		  . " (SELECT 'ours', * FROM m EXCEPT ALL SELECT 'ours', * FROM p)"
		  . " UNION ALL (SELECT 'plain', * FROM p EXCEPT ALL SELECT 'plain', * FROM m) LIMIT 6");
}

sub ask_random
{
	my ($when, $run) = @_;
	my ($ours, $sql) = compare_sql(some_question());
	my $difference = eval { $run->($sql) } // "failed: $@";
	$asked++;
	return 1 if $difference eq '';
	fail("$when: the same answer");
	diag("$ours\n$difference");
	return 0;
}

sub ask_many
{
	my ($when, $count) = @_;
	my $failures = 0;
	for (1 .. $count)
	{
		ask_random($when, sub { $node->safe_psql('postgres', $_[0]) }) or ++$failures < 3 or last;
	}
	is($failures, 0, "$when: the same answers");
	return;
}

for my $round (1 .. $rounds)
{
	write_random() for 1 .. $writes_per_round;
	write_interleaved() if $round % 2;
	if ($round == int($rounds / 2))
	{
		crash_postmaster($node);
		start_again($node);
	}
	elsif ($round % 4 == 0)
	{
		$node->restart;
	}
	ask_many("round $round", $questions_per_round);

	# inside a transaction, with writes of its own
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe('BEGIN ISOLATION LEVEL ' . pick('READ COMMITTED', 'REPEATABLE READ'));
	for my $statement (some_statement(), some_statement())
	{
		$session->query_safe(sprintf($statement =~ s/%(?!s)/%%/gr, $_)) for 'm_', 'w_';
	}
	my $failures = 0;
	for (1 .. 8)
	{
		$failures++ unless ask_random("round $round, own writes", sub { $session->query_safe($_[0]) });
	}
	is($failures, 0, "round $round: the same answers inside a transaction");
	$session->query_safe('ROLLBACK');
	$session->quit;
}
$rows = $node->safe_psql('postgres',
	'SELECT (SELECT count(*) FROM p_narrow) + (SELECT count(*) FROM p_wide) + (SELECT count(*) FROM p_exact)');
note("$asked questions about $rows rows");
cmp_ok($rows, '>', 1000, 'there was something to ask about');

# Every row, bit for bit, before and after a clean stop.
for my $when ('at the end', 'after a clean stop')
{
	for my $all ('SELECT ts, host, region, float8send(v) FROM %snarrow',
		'SELECT ts, host, float8send(a), float8send(b), float8send(c) FROM %swide',
		'SELECT t, host, port, float8send(v) FROM %sexact')
	{
		my ($ours, $sql) = compare_sql($all);
		is($node->safe_psql('postgres', $sql), '', "$when: $ours");
	}
	$node->restart;
}
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no crash of our own');
$node->stop;

done_testing();
