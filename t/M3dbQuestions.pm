# Random questions about the tables of 014_queries.pl, as a small grammar of SELECT.
#
# A question is { sql, kinds, ordered, constants }. In sql, {narrow} stands for a table, to be given
# a prefix, and <1> for the first of the constants, each [type, literal]. Every answer is
# determined, up to what its columns' kinds leave open:
#   =   equal as text
#   0   equal, but for the sign of zero: of -0 and 0, either may be the least
#   ~   a sum, whose order of addition is nobody's business
#   ^   the root of such a sum
# With ordered, the order of the rows is determined, too.
package M3dbQuestions;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(random_question);

# Stretches of data: the clocks of Berlin and St. John's change within them.
# 2025-10-25 20:00, 2026-03-08, 2026-03-28 10:00 and 20:00
my @windows = (1761422400, 1772928000, 1774692000, 1774728000);

my %tables = (
	narrow => {
		time => 'ts', values => ['value'], tags => [qw(host region rack flag)],
		key => [qw(host region rack flag tags ts)],
	},
	# no two points at one time: first and last of any group are determined
	solo => {
		time => 'ts', values => ['value'], tags => [qw(host region)], key => [qw(host region ts)],
			unique => 1,
	},
	wide => {
		time => 'ts', values => [qw(a b c)], tags => [qw(host region)], key => [qw(host region ts)],
	},
	odd => { time => 'ts', values => ['value'], tags => ['host'], key => [qw(host ts)] },
	parted => { time => 'ts', values => ['value'], tags => [qw(host region)], key => [qw(host region ts)] },
	exact => { time => 't', values => ['value'], tags => [qw(host rack)], key => [qw(host rack t)],
		ns => 1 },
);

my $constants;       # of the question in the making
my $as_constants;    # or literals
my $simple;          # made of what we are meant to do ourselves

sub pick { return $_[ rand @_ ]; }

sub chance { return rand() < $_[0]; }

sub some_of { return grep { chance(0.5) } @_; }

sub shuffled
{
	my @left = @_;
	return map { splice(@left, rand @left, 1) } 1 .. @left;
}

# A question with these kinds of columns, the order of whose rows is determined, or not.
sub sorted { return { kinds => [ split //, $_[0] ], sql => $_[1], ordered => 1 }; }

sub unsorted { return { kinds => [ split //, $_[0] ], sql => $_[1], ordered => 0 }; }

# A constant in the text, or a parameter.
sub constant
{
	my ($type, $literal) = @_;
	return "$type $literal" unless $as_constants;
	push @$constants, [ $type, $literal ];
	return '<' . scalar(@$constants) . '>';
}

sub timestamp_text
{
	my ($seconds) = @_;
	my ($second, $minute, $hour, $day, $month, $year) = gmtime(int($seconds));
	return sprintf('%04d-%02d-%02d %02d:%02d:%02d', $year + 1900, $month + 1, $day, $hour, $minute,
		$second);
}

sub some_seconds { return pick(@windows, $windows[2]) + int(rand(12 * 120)) * 30; }

sub some_time
{
	return constant('timestamptz', "'" . timestamp_text(some_seconds()) . pick('', '', '', '.000001', '.5')
	  . "+00'");
}

sub some_ns
{
	my $second = 1774728000 + int(rand(4000));
	return constant('bigint', "'$second" . pick('000000000', '000000001', '999999999') . "'");
}

sub point_in_time { return $_[0]{ns} ? some_ns() : some_time(); }

sub stretch
{
	my ($table) = @_;
	return constant('bigint', "'" . pick(1, 1000000000, 60000000000, 1000000000000) . "'") if $table->{ns};
	return constant('interval', "'"
	  . pick('1 hour', '90 minutes', '3 hours', '1 day', '20 days', '1 month', '1 second') . "'");
}

sub time_condition
{
	my ($table) = @_;
	my $time = $table->{time};
	my ($from, $to) = map { point_in_time($table) } 1, 2;
	my $range = pick("$time >= $from AND $time < $from + " . stretch($table),
		"$time > $from AND $time <= $from + " . stretch($table), "$time BETWEEN $from AND $to",
		"$time >= $from AND $time < $to", "$time BETWEEN SYMMETRIC $from AND $to");
	return $range if chance($simple ? 0.9 : 0.4);
	my @conditions = ("$time >= $from", "$time < $to", "$from <= $time", "NOT $time > $to", "$time = $from",
		"$time IN ($from, $to)", "($time < $from OR $time >= $to)", "($time < $from AND $time < $to)",
		"($range OR $time = $to)", "$time >= (SELECT $from)", "$time <> $from", "NOT ($range)",
		"$time > (SELECT max($time) FROM {solo}) - " . stretch($table),
		"$time = ANY (ARRAY[$from, $to])", "$time >= least($from, $to)");
	return pick(@conditions[0 .. 11], $conditions[13], $conditions[14]) if $table->{ns};
	return pick(@conditions, q(ts >= date '2026-03-29'), q(ts < timestamp '2026-03-29 03:00'),
		q(extract(hour FROM ts) = 3), "date_trunc('hour', ts) = date_trunc('hour', $from)",
		"m3db.time_bucket('2 hours', ts) >= $from", q(ts::date = '2026-03-29'), "ts < 'infinity'",
		"ts >= now() - interval '100 years'", "ts > '-infinity' AND ts < now()",
		"date_bin('1 hour', ts, 'epoch') <= $to");
}

sub some_host
{
	return constant('text', pick(map({ "'h$_'" } 0 .. 9), q('H1'), q('h 10'), q('ä'), q('none'), q('')));
}

sub host_condition
{
	my ($one, $two) = (some_host(), some_host());
	return pick("host = $one", "host IN ($one, $two)", "host <> $one", "host LIKE 'h%'", 'host IS NOT NULL')
	  if $simple;
	return pick("host = $one", "host = $one", "host IN ($one, $two)", "host <> $one",
		"host NOT IN ($one, $two)",
		'host IS NULL', 'host IS NOT NULL', "host LIKE 'h%'", "host NOT LIKE '%1'", q(host ~ '^h[0-3]$'),
		"host ILIKE 'H1'",
		"host = ANY (ARRAY[$one, NULL, $two])", "host IS DISTINCT FROM $one", "host >= $one", "host < $one",
		"upper(host) = 'H1'", "host = (SELECT $one)", "(host = $one OR host IS NULL)",
		"(host = $one OR host LIKE 'h_')",
		"host || '' = $one", "starts_with(host, 'h')", "coalesce(host, 'none') = $one",
		"host IN (SELECT host FROM hosts WHERE rack < 2)",
		"EXISTS (SELECT FROM hosts h WHERE h.host = q.host AND h.room = 'east')",
		"host NOT IN (SELECT host FROM hosts WHERE rack = 1)");
}

sub tag_condition
{
	my ($table) = @_;
	my %has = map { $_ => 1 } @{ $table->{tags} };
	my @others;
	my $region = constant('text', pick("'eu'", "'us'", "'Asia'", "'øst'"));
	my $rack = constant('int', pick(map { "'$_'" } 0, 1, 2, 3, 77));
	push @others, "region = $region", 'region IS NULL', "region <> $region", "region > $region",
		"(host, region) IN (('h1', 'eu'), ('h2', 'us'))",
	  "(host = 'h1' OR region = $region)", "(host = 'h1' AND region = $region OR host = 'h3')",
		"region = host"
	  if $has{region};
	push @others, "rack = $rack", "rack IN (1, 2)", "rack < $rack", 'rack IS NULL',
		"rack BETWEEN 1 AND $rack", "rack % 2 = 0"
	  if $has{rack};
	push @others, 'flag', 'NOT flag', 'flag IS NOT TRUE', 'flag IS NULL', "tags \@> '{\"dc\": \"x\"}'",
		"tags->>'dc' = 'y'",
	  "tags ? 'dc'", "NOT tags \@> '{\"dc\": \"x\"}'", "tags IS NULL", "tags \@> '{}'",
		"(flag OR rack = $rack)",
	  "(tags \@> '{\"dc\": \"y\"}' OR host = 'h1')", "tags \@> '{\"dc\": \"x\", \"n\": \"3\"}'",
		"tags \@> '{\"no\": \"x\"}'"
	  if $has{flag};
	return @others && chance(0.5) ? pick(@others) : host_condition();
}

sub value_condition
{
	my ($table) = @_;
	my $value = pick(@{ $table->{values} });
	my $limit = constant('float8', "'" . pick(0, 42, 50, 99.5, -10, 1000000) . "'");
	return pick("$value > $limit", "$value <= $limit", "$value IS NOT NULL", "$value = $limit",
		"$value <> 'NaN'",
		"$value BETWEEN -1 AND $limit", "($value < 10 OR $value > $limit)",
		"(host = 'h1' OR $value > $limit)",
		"$value IS NULL", "abs($value) < 60", "host IS NOT NULL AND $value < $limit", "$value > 1e300");
}

sub condition
{
	my ($table, $depth) = @_;
	my $kind = rand;
	if ($depth < 2 && $kind < 0.12)
	{
		return '(' . join(' OR ', map { condition($table, $depth + 1) } 1 .. 2 + int(rand(2))) . ')';
	}
	return 'NOT (' . condition($table, $depth + 1) . ')' if $depth < 2 && $kind < 0.15;
	return time_condition($table) if $kind < 0.5;
	return tag_condition($table) if $kind < 0.85;
	return $simple ? time_condition($table) : value_condition($table);
}

sub where
{
	my ($table) = @_;
	my @conditions = map { condition($table, 0) } 1 .. pick(0, 0, 1, 1, 2, 2, 3);
	return @conditions ? 'WHERE ' . join(' AND ', @conditions) : '';
}

# Like where(), with at least one more condition.
sub and_more
{
	my ($where, $condition) = @_;
	return $where ? "$where AND $condition" : "WHERE $condition";
}

sub some_bucket
{
	my ($table) = @_;
	return pick('t / 60000000000', 't / 60000000000 * 60000000000', 't - t % 1000000000',
		"m3db.time_bucket(60000000000, t)",
		"m3db.time_bucket(300000000000, t, 7::bigint)")
	  if $table->{ns};
	my $width = pick('1 minute', '5 minutes', '7 minutes', '1 hour', '2 hours', '3 hours', '1 day',
		'1 week');
	my $small = pick(map { "'$_'" } '10 seconds', '5 minutes', '7 minutes', '1 hour', '2 hours',
		'90 minutes');
	my $origin = pick(q('epoch'), q('2026-03-28 20:03:07+00'), q('2026-03-29'), q('2030-01-01'));
	my $zone = pick(q('Europe/Berlin'), q('America/St_Johns'), q('UTC'), q('Asia/Kathmandu'));
	my $unit = pick(qw(minute hour day week month year));
	my $seconds = pick(60, 300, 420, 3600, 7200, 0.5);
	return pick(
		"m3db.time_bucket('$width', ts)", "m3db.time_bucket('$width', ts)",
		"m3db.time_bucket('$width', ts, timestamptz $origin)",
		"m3db.time_bucket('$width', ts, interval '17 minutes')",
		"m3db.time_bucket('$width', ts, $zone)", "m3db.time_bucket('$width', ts, $zone)",
		"m3db.time_bucket('$width', ts, $zone, timestamptz $origin)",
		"m3db.time_bucket('" . pick('1 month', '2 months', '1 year') . "', ts" . pick('', ", $zone") . ')',
		"m3db.time_bucket('1 hour', ts AT TIME ZONE $zone)",
		"date_bin($small, ts, $origin)", "date_bin($small, ts, $origin)",
		"date_trunc('$unit', ts)", "date_trunc('$unit', ts)", "date_trunc('$unit', ts, $zone)",
		"date_trunc('$unit', ts AT TIME ZONE $zone)", 'ts::date', "extract(hour FROM ts)",
		"floor(extract(epoch FROM ts) / $seconds) * $seconds", "floor(extract(epoch FROM ts) / 60) * 60",
		"floor(date_part('epoch', ts) / $seconds) * $seconds",
		'(extract(epoch FROM ts) / 300)::bigint * 300', 'extract(epoch FROM ts)::bigint / 600 * 600',
		"to_timestamp(floor(extract(epoch FROM ts) / $seconds) * $seconds)",
		"to_timestamp(floor(date_part('epoch', ts) / 900) * 900)", 'ts');
}

sub some_group
{
	my ($table) = @_;
	my @tags = @{ $table->{tags} };
	my $expression = pick(qw(upper(host) length(host)), "coalesce(host, '-')", "host || 'x'");
	$expression = pick($expression, "tags->>'dc'", 'tags') if grep { $_ eq 'flag' } @tags;
	$expression = 'host' if $simple;
	return pick(
		[], [], ['host'], ['host'], [@tags], [ some_of(@tags) ], [ some_bucket($table) ],
		[ some_bucket($table) ],
		[ shuffled('host', some_bucket($table)) ], [ shuffled(some_of(@tags), some_bucket($table)) ],
		[ @tags, some_bucket($table) ], [ some_bucket($table), some_bucket($table) ], [$expression],
		[ $expression, some_bucket($table) ]);
}

# What an aggregate is of: mostly a column.
sub argument
{
	my ($table) = @_;
	my $value = pick(@{ $table->{values} });
	return $value if $simple;
	return pick(($value) x 8, "$value * 2", "-$value", "$value + 1", "abs($value)", "coalesce($value, 0)",
		"nullif($value, 42)");
}

sub filtered
{
	my ($table) = @_;
	return '' unless chance($simple ? 0.03 : 0.12);
	return ' FILTER (WHERE ' . pick(value_condition($table), host_condition(),
		time_condition($table)) . ')';
}

sub some_aggregate
{
	my ($table, $first_last) = @_;
	my ($time, $value) = ($table->{time}, argument($table));
	my $filter = filtered($table);
	my @special = (
		[ '=', "m3db.first($value, $time)$filter" ], [ '=', "m3db.last($value, $time)$filter" ],
		[ '=', "m3db.last($time, $time)$filter" ]);
	return @{ pick(@special) } if $first_last && chance(0.25);
	my @sums = (
		[ '~', "sum($value)$filter" ], [ '~', "sum($value)$filter" ], [ '~', "avg($value)$filter" ],
		[ '~', "avg($value)$filter" ],
		map({ [ '^', "$_($value)$filter" ] } qw(stddev stddev_samp stddev_pop)),
		map({ [ '~', "$_($value)$filter" ] } qw(variance var_samp var_pop)),
		[ '~', "sum($value) / nullif(count($value), 0)" ], [ '~', "sum($value) + count(*)" ]);
	my @exact = (
		[ '=', "count(*)$filter" ], [ '=', 'count(*)' ], [ '=', "count($value)$filter" ],
		[ '0', "min($value)$filter" ], [ '0', "max($value)$filter" ],
		[ '0', "max($value) - min($value)" ], [ '=', "min($time)$filter" ], [ '=', "max($time)$filter" ],
		[ '=', "max($time) - min($time)" ],
		[ '=', "count(DISTINCT host)$filter" ], [ '=', "min(host)$filter" ], [ '=', "max(host)" ],
		[ '=', "count(host)" ],
		[ '0', "round(max($value)::numeric, 2)" ], [ '=', "count(DISTINCT $value)" ],
		[ '=', 'bool_or(host IS NULL)' ],
		[ '=', "count(*) FILTER (WHERE $value IS NULL)" ],
		[ '=', "m3db.histogram($value, 0, 100, 4)$filter" ],
		[ '0', "percentile_disc(0.5) WITHIN GROUP (ORDER BY $value)" ],
		[ '0', "greatest(max($value), 3)" ]);
	return @{ pick(@sums[0 .. 9], @exact[0 .. 8]) } if $simple;
	return @{ chance(0.5) ? pick(@sums) : pick(@exact) };
}

sub order_by
{
	my @expressions = @_;
	return '' unless @expressions;
	my $all = pick('', '', ' DESC');
	return ' ORDER BY ' . join(', ', map { $_
	  . (chance(0.7) ? $all : pick('', ' DESC', ' DESC NULLS LAST', ' NULLS FIRST')) } @expressions);
}

sub limit
{
	my ($always) = @_;
	return '' unless $always || chance(0.3);
	my $limit = ' LIMIT ' . pick(0, 1, 1, 3, 10, 50, 1000);
	return $limit . (chance(0.25) ? ' OFFSET ' . pick(0, 1, 5, 100) : '');
}

sub having
{
	my ($table) = @_;
	return '' unless chance(0.15);
	my $value = pick(@{ $table->{values} });
	return ' HAVING ' . pick('count(*) > 10', "max($value) > 50", "count($value) > 0",
		"min($value) < 0 OR count(*) = 1",
		"max($table->{time}) > min($table->{time})", "avg($value) > 17.123456789");
}

# The aggregates of a group, as a question.
sub aggregate_question
{
	my ($name) = @_;
	my $table = $tables{$name};
	my @group = @{ some_group($table) };
	my %grouped = map { $_ => 1 } @group;
	my $sets = @group && @group < 4 && chance(0.06) ? pick('ROLLUP', 'CUBE') : '';
	my $first_last = $table->{unique} || !$sets && $name ne 'narrow' && !grep { !$grouped{$_} } @{ $table->{tags} };
	my (@kinds, @columns);
	for (1 .. 1 + int(rand(4)))
	{
		my ($kind, $expression) = some_aggregate($table, $first_last);
		push @kinds, $kind;
		push @columns, $expression;
	}
	my $from = "FROM {$name} q " . where($table);
	my $by = join(', ', 1 .. @group);
	my $sql = 'SELECT ' . join(', ', @group, @columns) . " $from";
	my $ordered = 0;
	if ($sets)
	{
		$sql .= " GROUP BY $sets($by)" . having($table);
	}
	elsif (@group)
	{

		$sql .= " GROUP BY $by" . having($table);
		if ($ordered = chance(0.4))
		{
			$sql .= order_by(shuffled(1 .. @group)) . limit();
		}
	}
	else
	{
		$sql .= having($table);
	}
	return { sql => $sql, kinds => [ ('=') x @group, @kinds ], ordered => $ordered };
}

# A few figures of a stretch of time, which whole blocks may answer without their points.
sub figures_question
{
	my ($name) = @_;
	my $table = $tables{$name};
	my ($time, $value) = ($table->{time}, pick(@{ $table->{values} }));
	my ($from, $to) = map { point_in_time($table) } 1, 2;
	my %figures = (
		'count(*)' => '=', "count($value)" => '=', "min($value)" => '0', "max($value)" => '0',
		"sum($value)" => '~', "avg($value)" => '~', "min($time)" => '=', "max($time)" => '=');
	my @chosen = pick(['count(*)'], ['count(*)'], [ some_of(sort keys %figures) ], [ "min($time)", "max($time)" ]);
	my @list = @{ $chosen[0] } ? @{ $chosen[0] } : "sum($value)";
	my @group = pick([], [], ['host'], [ @{ $table->{tags} } ]);
	my $where = pick('', "WHERE $time >= $from", "WHERE $time < $to", "WHERE $time >= $from AND $time < $to",
		"WHERE $time >= $from AND $time < $from + " . stretch($table), "WHERE $time > $from AND host = 'h1'");
	my $by = @{ $group[0] } ? 'GROUP BY ' . join(', ', @{ $group[0] }) : '';
	return unsorted(join('', ('=') x @{ $group[0] }, @figures{@list}),
		'SELECT ' . join(', ', @{ $group[0] }, @list) . " FROM {$name} q $where $by");
}

# Rows as they are, all of them or the first of an order.
sub rows_question
{
	my ($name) = @_;
	my $table = $tables{$name};
	my @key = @{ $table->{key} };
	my @values = some_of(@{ $table->{values} });
	my $where = where($table);
	my $from = "FROM {$name} q $where";
	my $kind = rand;
	my $all = join(', ', @key, @values);
	my $columns = @key + @values;
	my @sorted = pick([@key], [ shuffled(@key) ], [ $table->{time}, grep { $_ ne $table->{time} } @key ]);

	if ($kind < 0.25)
	{
		my @some = some_of(@key, @{ $table->{values} });
		@some = ($table->{time}) unless @some;
		return unsorted('=' x @some, 'SELECT ' . join(', ', @some) . " $from");
	}
	if ($kind < 0.75)
	{
		return sorted('=' x $columns, "SELECT $all $from" . order_by(@{ $sorted[0] }) . limit());
	}
	# what is not in the order is not shown, so ties do no harm
	my @shown = pick([ $table->{time} ], [ 'host', $table->{time} ], [ $table->{time}, 'host' ],
		[ some_of(@key), $table->{time} ]);
	return {
		sql => 'SELECT ' . join(', ', @{ $shown[0] }) . " $from" . order_by(@{ $shown[0] }) . limit(1),
		kinds => [ ('=') x @{ $shown[0] } ], ordered => 1
	};
}

sub distinct_question
{
	my ($name) = @_;
	my $table = $tables{$name};
	my ($time, @tags) = ($table->{time}, @{ $table->{tags} });
	my $from = "FROM {$name} q " . where($table);
	my $direction = pick('', ' DESC', ' DESC');
	my $value = pick(@{ $table->{values} });
	my @key = grep { $_ ne $time } @{ $table->{key} };
	my $keys = join(', ', @key);
	return pick(
		unsorted('=', "SELECT DISTINCT host $from"),
		unsorted('=' x @tags, "SELECT DISTINCT " . join(', ', @tags) . " $from"),
		sorted('==', "SELECT DISTINCT ON (host) host, $time $from ORDER BY host, $time$direction"),
		sorted('=' x (@key + 2), "SELECT DISTINCT ON ($keys) $keys, $time, $value $from ORDER BY $keys,"
		  . " $time$direction"),
		sorted('=' x (@key + 2), "SELECT DISTINCT ON ($keys) $keys, $time, $value $from ORDER BY $keys,"
		  . " $time$direction" . limit(1)),
		unsorted('==', "SELECT min($time), max($time) $from"),
		unsorted('=', "SELECT max($time) $from"),
		unsorted('=', "SELECT count(*) $from"),
		unsorted('==', "SELECT count(*), count($value) FROM {$name}"),
		sorted('=', "SELECT DISTINCT $time $from ORDER BY $time$direction" . limit(1)),
		sorted('==', "SELECT host, $time $from ORDER BY $time$direction, host FETCH FIRST 3 ROWS ONLY"));
}

sub join_question
{
	my ($name) = @_;
	my $table = $tables{$name};
	my $time = $table->{time};
	my $value = pick(@{ $table->{values} });
	my $where = where($table) =~ s/\bhost\b/q.host/gr =~ s/\brack\b/q.rack/gr =~ s/q\.q\./q./gr;
	# the sub-selects of conditions have a host and rack of their own
	$where = '' if $where =~ /hosts/;
	my $aggregates = "count(*), max($value), sum($value)";
	my $kinds = '=0~';
	my $keys = join(', ', map { "q.$_" } @{ $table->{key} });
	return pick(
		unsorted("=$kinds", "SELECT h.rack, $aggregates FROM {$name} q JOIN hosts h ON h.host = q.host"
		  . " $where GROUP BY 1"),
		unsorted("==$kinds", "SELECT h.room, q.host, $aggregates FROM {$name} q JOIN hosts h ON h.host ="
		  . " q.host "
		  . and_more($where, pick("h.rack = 1", "h.room = 'east'", "h.rack < 3")) . ' GROUP BY 1, 2'),
		unsorted("=$kinds", "SELECT h.host, $aggregates FROM hosts h LEFT JOIN {$name} q ON h.host ="
		  . " q.host AND q.$time >= " . point_in_time($table) . ' GROUP BY 1'),
		unsorted('==', "SELECT h.host, l.$time FROM hosts h LEFT JOIN LATERAL (SELECT $time FROM {$name}"
		  . " q WHERE q.host = h.host ORDER BY $time" . pick('', ' DESC') . ' LIMIT ' . pick(1, 1,
		3) . ') l ON true'),
		unsorted("=$kinds", "SELECT h.host, l.* FROM hosts h CROSS JOIN LATERAL (SELECT count(*),"
		  . " max($value), sum($value) FROM {$name} q WHERE q.host = h.host AND q.$time < "
		. point_in_time($table) . ') l'),
		unsorted('=' x (@{ $table->{key} } + 1), "SELECT $keys, h.rack FROM {$name} q LEFT JOIN hosts h"
		  . " ON h.host = q.host $where"),
		unsorted('==~', "SELECT x.host, count(*), sum(q.$value) FROM {$name} x JOIN {$name} q ON x.$time"
		  . " = q.$time AND x.host = q.host WHERE q.host " . pick("= 'h1'",
		"LIKE 'h_'") . " AND x.$time > " . point_in_time($table) . ' GROUP BY 1'),
		unsorted('===', "SELECT h.host, (SELECT max($time) FROM {$name} q WHERE q.host = h.host), (SELECT"
		  . " count(*) FROM {$name} q WHERE q.host = h.host) FROM hosts h"),
		unsorted('==~', "SELECT h.rack, x.n, x.s FROM hosts h JOIN (SELECT host, count(*) n, sum($value)"
		  . " s FROM {$name} GROUP BY host) x ON x.host = h.host"),
		unsorted('==', "SELECT h.host, count(q.$time) FROM {$name} q RIGHT JOIN hosts h ON h.host ="
		  . " q.host AND q.$value > 10 GROUP BY 1"),
		unsorted('=', "SELECT count(*) FROM hosts h WHERE EXISTS (SELECT FROM {$name} q WHERE q.host ="
		  . " h.host AND q.$time > " . point_in_time($table) . ')'),
		unsorted('=', "SELECT count(*) FROM {$name} q FULL JOIN hosts h ON h.host = q.host"));
}

sub nested_question
{
	my ($name) = @_;
	my $table = $tables{$name};
	my $time = $table->{time};
	my $value = pick(@{ $table->{values} });
	my ($one, $two) = map { "FROM {$name} q " . where($table) } 1, 2;
	my @key = @{ $table->{key} };
	my $keys = join(', ', @key);
	my $bucket = some_bucket($table);
	my $tags = join(', ', grep { $_ ne $time } @key);
	return pick(
		unsorted('=~', "SELECT max(n), sum(s) FROM (SELECT host, count(*) n, sum($value) s $one GROUP BY"
		  . " host) x"),
		sorted('=~=', "WITH x AS (SELECT $bucket AS b, host, max($value) m $one GROUP BY 1, 2) SELECT b,"
		  . " sum(m), count(*) FROM x GROUP BY b ORDER BY b"),
		unsorted('==', "WITH x AS MATERIALIZED (SELECT * $one) SELECT host, count(*) FROM x GROUP BY host"),
		unsorted('==~', "SELECT host, count(*), sum(v) FROM (SELECT host, $value v $one UNION ALL SELECT"
		  . " host, value FROM {solo}) x GROUP BY host"),
		sorted('==', "SELECT host, $time $one UNION ALL SELECT host, $time $two ORDER BY 1, 2" . limit(1)),
		unsorted('=', "SELECT host $one UNION SELECT host $two"),
		unsorted('==', "SELECT host, $time $one EXCEPT SELECT host, $time $two"),
		unsorted('=' x (@key + 2), "SELECT $keys, row_number() OVER (PARTITION BY host ORDER BY $keys),"
		  . " lag($value) OVER (ORDER BY $keys) $one"),
		unsorted('=' x (@key + 1) . '0', "SELECT $keys, count(*) OVER (PARTITION BY host), max($value)"
		  . " OVER (PARTITION BY host ORDER BY $time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
		. " $one"),
		unsorted('===', "SELECT b, n, sum(n) OVER (ORDER BY b) FROM (SELECT $bucket AS b, count(*) n $one"
		  . " GROUP BY 1) x"),
		unsorted('===', "SELECT host, rank() OVER (ORDER BY max($value) DESC, host), count(*) $one GROUP"
		  . " BY host"),
		unsorted('==', "SELECT host, array_agg($value ORDER BY $keys) FROM {$name} WHERE $time > "
		  . point_in_time($table) . ' GROUP BY host'),
		unsorted('=', "SELECT count(*) FROM (SELECT $keys $one ORDER BY $time DESC, $keys LIMIT 20) x"),
		sorted('=' x @key, "SELECT x.* FROM (SELECT $tags, max($time) AS m $one GROUP BY $tags) x ORDER"
		  . " BY m DESC, $tags" . limit(1)),
		unsorted('==', "SELECT (SELECT count(*) $one), (SELECT max($time) $two)"),
		unsorted('=', "SELECT count(*) FROM {$name} q WHERE $time = (SELECT max($time) $one)"),
		unsorted('==', "SELECT host, sum(c) FROM (SELECT host, $bucket, count(*) c $one GROUP BY 1, 2"
		  . " ORDER BY 1, 2) x GROUP BY host"),
		unsorted('===', "SELECT generate_series(1, 2), host, count(*) $one GROUP BY host"),
		unsorted('=0', "SELECT DISTINCT count(*), max($value) $one GROUP BY host"),
		sorted('==', "SELECT host, count(*) $one GROUP BY host ORDER BY count(*) DESC, host" . limit(1)),
		unsorted('==', "SELECT q.tableoid IS NULL, count(*) $one GROUP BY 1"));
}

# A question, with its constants in the text or as parameters.
sub random_question
{
	my (%options) = @_;
	$constants = [];
	$as_constants = $options{parameters};
	$simple = chance(0.5);
	my $name = pick(qw(narrow narrow narrow solo solo wide wide wide odd parted parted exact));
	my $kind = rand;
	my $question =
	    $kind < 0.34 ? aggregate_question($name)
	  : $kind < 0.48 ? figures_question($name)
	  : $kind < 0.64 ? rows_question($name)
	  : $kind < 0.74 ? distinct_question($name)
	  : $kind < 0.86 ? join_question($name)
	  :                nested_question($name);
	# not all that were thought of are in it
	my (@used, %place);
	$question->{sql} =~ s/<(\d+)>/'<' . ($place{$1} \/\/= push @used, $constants->[$1 - 1]) . '>'/ge;
	return { ordered => 0, %$question, constants => \@used };
}

1;
