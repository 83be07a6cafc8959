# The tables 014_queries.pl asks about. What is written to ours, m_*, is kept in w_* in its order;
# p_* are plain tables of what that amounts to: of two values for one series and time the later wins.
package M3dbQueryTables;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(query_tables create_query_tables write_query_tables write_pending key_of values_of);

my %columns = (
	narrow => 'ts timestamptz NOT NULL, host text, region text %2$s, rack int, flag boolean, tags jsonb, value float8',
	solo => 'ts timestamptz NOT NULL, host text, region text %2$s, value float8',
	wide => 'ts timestamptz NOT NULL, host text, region text %2$s, a float8, b float8, c float8',
	odd => 'ts timestamptz NOT NULL, host text, value float8',
	parted => 'ts timestamptz NOT NULL, host text, region text, value float8',
	exact => 't bigint%1$s NOT NULL, host text, rack int, value float8');
my %keys = (
	narrow => 'ts, host, region, rack, flag, tags', solo => 'ts, host, region', wide => 'ts, host, region',
	odd => 'ts, host', parted => 'ts, host, region', exact => 't, host, rack');

sub merged
{
	my ($name) = @_;
	return "SELECT DISTINCT ON ($keys{$name}) $keys{$name}, value FROM w_$name ORDER BY $keys{$name}, seq DESC"
	  if $name ne 'wide';
	my $last = join(', ', map { "(array_agg($_ ORDER BY seq DESC) FILTER (WHERE $_ IS NOT NULL))[1] AS $_" } qw(a b c));
	return "SELECT $keys{wide}, $last FROM w_wide WHERE num_nonnulls(a, b, c) > 0 GROUP BY $keys{wide}";
}

sub query_tables { return sort keys %columns; }

sub key_of { return $keys{ $_[0] }; }

sub values_of { return $_[0] eq 'wide' ? qw(a b c) : 'value'; }

sub all_columns { return join(', ', key_of($_[0]), values_of($_[0])); }

# All of them, with a collation for the column of some that is not the database's.
sub create_query_tables
{
	my ($collation) = @_;
	my $sql = '';
	for my $name (query_tables())
	{
		my $time_ns = q( OPTIONS (role 'time_ns'));
		my ($ours, $plain) = map { sprintf($columns{$name}, $_, $collation) } $time_ns, '';
		$sql .= "CREATE TABLE p_$name ($plain); CREATE TABLE w_$name (LIKE p_$name, stage int, seq bigserial);\n";
		$sql .= "CREATE INDEX ON p_$name (host, " . ($name eq 'exact' ? 't' : 'ts') . ");\n";
		next if $name eq 'parted';
		my $block = $name eq 'solo' ? '1 day' : '2 hours';
		$sql .= "CREATE FOREIGN TABLE m_$name ($ours) SERVER m3 OPTIONS (block_size '$block');\n";
	}
	return $sql . <<SQL;
CREATE TABLE m_parted ($columns{parted}) PARTITION BY RANGE (ts);
CREATE FOREIGN TABLE m_parted_1 PARTITION OF m_parted FOR VALUES FROM (MINVALUE) TO ('2026-03-01')
  SERVER m3 OPTIONS (block_size '2 hours');
CREATE FOREIGN TABLE m_parted_2 PARTITION OF m_parted FOR VALUES FROM ('2026-03-01') TO ('2026-03-29 00:00+00')
  SERVER m3 OPTIONS (block_size '2 hours');
CREATE TABLE m_parted_3 PARTITION OF m_parted FOR VALUES FROM ('2026-03-29 00:00+00') TO (MAXVALUE);
CREATE TABLE hosts (host text PRIMARY KEY, rack int, room text);
INSERT INTO hosts SELECT 'h' || i, i % 4, CASE WHEN i % 3 = 0 THEN 'east' ELSE 'west' END
  FROM generate_series(0, 11) i;
INSERT INTO hosts VALUES ('ä', 1, 'east'), ('', 2, NULL);
CREATE TABLE stretches (stretch int, start timestamptz, step interval, points int);
INSERT INTO stretches VALUES (0, '2025-10-25 20:00+00', '15 min', 48), (1, '2026-03-08 00:00+00', '15 min', 48),
  (2, '2026-03-28 20:00+00', '2 min', 360), (3, '2026-03-28 10:00+00', '6 s', 1200);
SQL
}

# Series s, of which one tag or another is missing, and point i of a stretch, the last of which has
# enough of them in a block for statistics: the rows as they are written first; stage 1 goes to files, stage 2 over some of them, stage 3 stays in buffers.
sub write_query_tables
{
	my $host = q((ARRAY['h0', 'h1', 'h2', 'h3', 'h4', 'H1', 'h 10', 'ä', '', NULL])[s % 10 + 1]);
	my $region = q((ARRAY['eu', 'us', 'Asia', 'øst', NULL])[s / 2 % 5 + 1]);
	my $value = q(CASE s % 6 WHEN 0 THEN round((50 + 40 * sin(i / 9.0 + s))::numeric, 2)::float8 WHEN 1 THEN i
	  WHEN 2 THEN 42 WHEN 3 THEN i * 0.1 - 20 WHEN 4 THEN 1e6 * sin(i * s) ELSE (i + s) % 7 / 3.0 END);
	my $points = q(FROM generate_series(0, %d - 1) s, stretches, generate_series(0, points - 1) i
	  WHERE (i * 7 + s) %% 11 <> 0 AND NOT (s %% 6 = 1 AND stretch = 2 AND i BETWEEN 90 AND 200)
	    AND (s %% 13 <> 5 OR stretch = 1 AND i = 3) AND (s %% 5 <> 3 OR stretch <> 0)
    AND (stretch < 3 OR s < 5));
	my $stage = q(CASE WHEN stretch = 3 AND i < 600 THEN 1 WHEN i % 50 = 49 THEN 3
	  WHEN stretch = 2 AND i > 240 OR i % 31 = 30 THEN 2 ELSE 1 END);
	my $odd = q(CASE WHEN s = 1 AND i % 40 = 7 THEN 'NaN' WHEN s IN (2, 4) AND i % 30 = 3 THEN 'Infinity'
	  WHEN s IN (3, 4) AND i % 30 = 5 THEN '-Infinity' WHEN i % 5 = 0 THEN '-0' WHEN i % 5 = 1 THEN '0'
	  WHEN i % 5 = 2 THEN 5e-324 WHEN i % 5 = 3 THEN 1e6 ELSE i END);
	my %points = map { $_ => sprintf($points, $_) } 6, 11, 12, 40;
	my $sql = <<SQL;
INSERT INTO w_narrow
  SELECT start + i * step, $host, $region, nullif(s % 7, 6), nullif(s % 3, 2) = 1,
         CASE s % 4 WHEN 0 THEN '{}' ELSE jsonb_strip_nulls(jsonb_build_object(
           'dc', (ARRAY['x', 'y', NULL])[s % 3 + 1], 'n', s::text)) END, $value, $stage
  $points{40} ORDER BY s, stretch, i;
INSERT INTO w_solo
  SELECT start + i * step + s * interval '1 ms', $host, $region, $value, $stage
  $points{12} AND i % 3 > 0 ORDER BY i, s;
INSERT INTO w_wide
  SELECT start + i * step, $host, $region, CASE WHEN i % 3 < 2 THEN $value END,
         CASE WHEN s % 3 > 0 AND i % 2 = 0 THEN i END, CASE WHEN i > 200 OR s = 0 THEN i * s * 0.5 END, $stage
  $points{12} ORDER BY s, i;
INSERT INTO w_odd SELECT start + i * step, nullif('h' || s, 'h5'), ($odd)::float8, $stage $points{6} ORDER BY s, i;
INSERT INTO w_parted SELECT start + i * step, $host, $region, $value, $stage $points{11} ORDER BY i;
INSERT INTO w_exact
  SELECT 1774728000000000000 + i * 10000000007::bigint, 'h' || s % 3, nullif(s % 4, 3), i, 1 + i % 3
    FROM generate_series(0, 5) s, generate_series(0, 299) i ORDER BY s, i;
SQL
	for my $name (query_tables())
	{
		my ($time, $later) = $name eq 'exact' ? ('t', 't + 1') : ('ts', "ts + interval '7 s'");
		my $values = $name eq 'wide' ? 'a + 1, NULL, c' : 'value + 1';
		my $rest = $keys{$name} =~ s/^t\w*//r;
		my $again = "INSERT INTO w_$name SELECT $keys{$name}, $values,";
		# twice the same with another value, then over what was flushed, then beside it
		$sql .= "$again 1 FROM w_$name WHERE stage = 1 AND seq % 17 = 0;\n";
		$sql .= "$again 2 FROM w_$name WHERE stage = 1 AND seq % 53 = 0;\n";
		$sql .= "$again 3 FROM w_$name WHERE stage < 3 AND seq % 97 = 0;\n";
		$sql .= "INSERT INTO w_$name SELECT $later$rest, $values, 3 FROM w_$name"
		  . " WHERE stage < 3 AND seq % 211 = 0;\n"
		  if $name ne 'solo';
	}
	$sql .= "DELETE FROM w_wide WHERE num_nonnulls(a, b, c) = 0;\n";
	for my $stage (1 .. 3)
	{
		for my $name (query_tables())
		{
			my $list = all_columns($name);
			my $from = "SELECT $list FROM w_$name WHERE stage = $stage ORDER BY seq";
			$sql .= $name eq 'parted' ? write_parted($list, $stage) : "INSERT INTO m_$name ($list) $from;\n";
		}
		$sql .= "SELECT m3db.flush();\n" if $stage < 3;
	}
	return $sql . join('', map { refresh($_) } query_tables()) . 'ANALYZE;';
}

# The plain partition replaces nothing: it is given what the rows amount to.
sub write_parted
{
	my ($list, $stage) = @_;
	my $plain = merged('parted');
	my $insert = "INSERT INTO m_parted ($list) SELECT $list";
	my $bound = q(timestamptz '2026-03-29 00:00+00');
	return "$insert FROM w_parted WHERE stage = $stage AND ts < $bound ORDER BY seq;\n"
	  . ($stage < 3 ? '' : "$insert FROM ($plain) x WHERE ts >= $bound;\n");
}

sub refresh
{
	my ($name) = @_;
	my $list = all_columns($name);
	return "DELETE FROM p_$name; INSERT INTO p_$name ($list) " . merged($name) . ";\n";
}

# In a transaction: points of its own, and some that it takes back.
sub write_pending
{
	my $pending = '';
	for my $name (grep { $_ ne 'parted' } query_tables())
	{
		my $values = $name eq 'wide' ? 'a * 2, b, NULL' : 'value * 2';
		my ($time, $later) = $name eq 'exact' ? ('t', 't + 500') : ('ts', "ts + interval '11 s'");
		my $list = all_columns($name);
		my $rest = $keys{$name} =~ s/^t\w*//r;
		my $has_value = $name eq 'wide' ? 'a + b IS NOT NULL' : 'true';
		for my $prefix ('m_', 'w_')
		{
			my $insert = "INSERT INTO $prefix$name ($list) SELECT";
			my $from = "FROM w_$name WHERE stage IS NOT NULL AND $has_value";
			$pending .= "$insert $keys{$name}, $values $from AND seq % 37 = 5 ORDER BY seq;\n";
			$pending .= "$insert $later$rest, $values $from AND seq % 91 = 5 ORDER BY seq;\n" if $name ne 'solo';
			$pending .= "SAVEPOINT s; $insert $keys{$name}, $values $from AND seq % 41 = 5 ORDER BY seq;"
			  . " ROLLBACK TO s; RELEASE s;\n";
		}
		$pending .= refresh($name);
	}
	return $pending;
}

1;
