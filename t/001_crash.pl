# Whatever is killed, and whenever: a transaction that was acknowledged is there whole, one that
# was not is there whole or not at all, and tables of both kinds agree about it.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use M3dbTest;
use POSIX qw(strftime);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{M3DB_CRASH_ROUNDS} // 20;
my $writers = 3;
my $keys_per_round = 100_000;
my $keys_per_writer = 10_000_000;
my $seed = seed(20260101);

my $node = new_server('main');
create_tables($node);
$node->safe_psql('postgres', <<SQL);
CREATE TABLE heap_counter (writer int PRIMARY KEY, n bigint);
INSERT INTO heap_counter SELECT w, 0 FROM generate_series(0, $writers - 1) w;
CREATE FOREIGN TABLE counter (ts timestamptz NOT NULL, writer int, n float8) SERVER m3;
SQL
my $connection = $node->connstr('postgres');
my $directory = PostgreSQL::Test::Utils::tempdir();

# What transaction number n of a writer does follows from its number alone, so that the
# check afterwards knows it too.
my @kinds = (
	'with heap', 'with heap', 'alone', 'alone', 'one row', 'one row', 'rollback with heap',
	'rollback', 'savepoint with heap', 'savepoint', 'counter', 'copy', 'caught error');

sub plan_of
{
	my ($n) = @_;
	my $h = (($n + $seed) * 2654435761) % 2**32;
	$h ^= $h >> 15;
	my $kind = $kinds[ ($h >> 4) % @kinds ];
	my %plan = (kind => $kind, narrow => 1 + ($h >> 9) % 20, wide => ($h >> 14) % 6);
	$plan{narrow} = 200 + ($h >> 9) % 200 if $kind eq 'copy';
	@plan{qw(narrow wide)} = (1, 0) if $kind eq 'one row';
	$plan{heap} = $kind =~ /with heap|caught/ ? 1 : 0;
	$plan{commits} = $kind =~ /^rollback/ ? 0 : 1;
	return %plan;
}

# Times are unique for each row, and jump back and forth between transactions.
sub time_of
{
	my ($n, $row) = @_;
	my $second = ($n * 7919) % 2**21;
	return strftime('%Y-%m-%d %H:%M:%S', gmtime(1767225600 + $second))
	  . sprintf('.%03d+00', $row);
}

sub rows_sql
{
	my ($writer, $n, $value, %plan) = @_;
	my $sql = 'INSERT INTO narrow VALUES '
	  . join(', ', map { sprintf("('%s', 'w%d-%d', %d)", time_of($n, $_), $writer, $_ % 3, $value) }
		  0 .. $plan{narrow} - 1) . ";\n";
	$sql .= 'INSERT INTO wide VALUES '
	  . join(', ', map { sprintf("('%s', 'w%d', %d, %s, %d)", time_of($n, $_), $writer, $value,
			  $_ % 2 ? 'NULL' : $value, $value) } 0 .. $plan{wide} - 1) . ";\n"
	  if $plan{wide};
	return $sql;
}

sub transaction_sql
{
	my ($writer, $n) = @_;
	my $key = $writer * $keys_per_writer + $n;
	my %plan = plan_of($n);
	my $good = rows_sql($writer, $n, $key, %plan);
	my $bad = rows_sql($writer, $n, -$key, %plan);
	my $heap = $plan{heap} ? "INSERT INTO heap VALUES ($key);\n" : '';
	my $kind = $plan{kind};

	return $good if $kind eq 'one row';
	return "BEGIN;\n$heap$good" . "ROLLBACK;\n" if !$plan{commits} && $n % 2;
	return "BEGIN;\n$good$heap" . "ROLLBACK;\n" if !$plan{commits};
	return "BEGIN;\n${good}SAVEPOINT s;\n${bad}ROLLBACK TO s;\n${heap}COMMIT;\n"
	  if $kind =~ /^savepoint/ && $n % 2;
	return "BEGIN;\nSAVEPOINT s;\n${bad}ROLLBACK TO s;\n$heap${good}RELEASE s;\nCOMMIT;\n"
	  if $kind =~ /^savepoint/;
	return "BEGIN;\n$good"
	  . "INSERT INTO counter VALUES ('2026-01-01 00:00+00', $writer, $n);\n"
	  . "UPDATE heap_counter SET n = $n WHERE writer = $writer;\nCOMMIT;\n"
	  if $kind eq 'counter';
	return "BEGIN;\n${heap}DO \$\$ BEGIN $bad RAISE division_by_zero;"
	  . " EXCEPTION WHEN division_by_zero THEN NULL; END \$\$;\n${good}COMMIT;\n"
	  if $kind eq 'caught error';
	if ($kind eq 'copy')
	{
		my $lines = join('', map { sprintf("%s\tw%d-%d\t%d\n", time_of($n, $_), $writer, $_ % 3, $key) }
			  0 .. $plan{narrow} - 1);
		return "COPY narrow FROM STDIN;\n$lines\\.\n" if !$plan{wide};
		my $wide = rows_sql($writer, $n, $key, %plan) =~ s/\A.*?\n//r;
		return "BEGIN;\nCOPY narrow FROM STDIN;\n$lines\\.\n${wide}COMMIT;\n";
	}
	return "BEGIN;\n$heap${good}COMMIT;\n";
}

# A child process that feeds transactions to a psql, which writes down each acknowledgement.
sub start_writer
{
	my ($writer, $round) = @_;
	my $pid = fork // die "fork: $!";
	return $pid if $pid;
	my $file = "$directory/$round-$writer";
	$SIG{PIPE} = 'IGNORE';
	alarm 120;
	open(my $psql, '|-', "exec psql -XAtq -v ON_ERROR_STOP=1 -d '$connection'"
		  . " >$file.acks 2>$file.errors") or POSIX::_exit(1);
	$psql->autoflush(1);
	# a long way from our log's sync to the end of the commit, to be killed on
	print $psql "SET commit_siblings = 0; SET commit_delay = 4000;\n" if $writer > 0;
	for my $n ($round * $keys_per_round + 1 .. ($round + 1) * $keys_per_round - 1)
	{
		print $psql transaction_sql($writer, $n), "\\echo $n\n" or last;
	}
	close $psql;
	POSIX::_exit(0);
}

my %acknowledged;    # by key
my %present;         # by key, as of the last check

sub read_acknowledgements
{
	my ($round) = @_;
	my $count = 0;
	for my $writer (0 .. $writers - 1)
	{
		my $file = "$directory/$round-$writer";
		for my $n (split /\n/, slurp_file("$file.acks"))
		{
			next unless $n =~ /^\d+$/;
			$acknowledged{ $writer * $keys_per_writer + $n } = 1;
			$count++;
		}
		my $errors = slurp_file("$file.errors");
		unlike($errors, qr/ERROR:/, "round $round: writer $writer met no error but the crash");
	}
	return $count;
}

sub map_of
{
	my ($sql) = @_;
	return map { my ($key, @rest) = split /\|/; $key => "@rest" }
	  split /\n/, $node->safe_psql('postgres', $sql);
}

sub check
{
	my ($when) = @_;
	my %narrow = map_of('SELECT usage::bigint, count(*) FROM narrow GROUP BY 1');
	my %wide = map_of('SELECT a::bigint, count(*), count(b), count(c) FROM wide GROUP BY 1');
	my %heap = map_of('SELECT key, 1 FROM heap');
	my %seen = (%narrow, %wide, %heap, %acknowledged, %present);
	my (@lost, @torn, @undead, @vanished);

	for my $key (sort { $a <=> $b } keys %seen)
	{
		my %plan = plan_of(abs($key) % $keys_per_writer);
		my $wide = $plan{wide}
		  ? join(' ', $plan{wide}, int(($plan{wide} + 1) / 2), $plan{wide}) : 'none';
		my $whole = ($narrow{$key} // 0) eq $plan{narrow} && ($wide{$key} // 'none') eq $wide
		  && ($heap{$key} // 0) == $plan{heap};
		my $any = exists $narrow{$key} || exists $wide{$key} || exists $heap{$key};
		my $what = sprintf('%d (%s: %s of %d, %s of %s, heap %s of %d)', $key, $plan{kind},
			$narrow{$key} // 0, $plan{narrow}, $wide{$key} // 'none', $wide,
			$heap{$key} // 0, $plan{heap});

		push @undead, $what if $any && ($key < 0 || !$plan{commits});
		push @torn, $what if $any && !$whole;
		push @lost, $what if $acknowledged{$key} && $plan{commits} && !$any;
		push @vanished, $what if $present{$key} && !$any;
		$present{$key} = 1 if $any;
	}
	is("@lost[0 .. ($#lost > 4 ? 4 : $#lost)]", '', "$when: nothing acknowledged is missing");
	is("@torn[0 .. ($#torn > 4 ? 4 : $#torn)]", '', "$when: no transaction is there in part");
	is("@undead[0 .. ($#undead > 4 ? 4 : $#undead)]", '', "$when: nothing rolled back is there");
	is("@vanished[0 .. ($#vanished > 4 ? 4 : $#vanished)]", '', "$when: what was there still is");
	is($node->safe_psql('postgres',
			'SELECT writer, n FROM counter WHERE n > 0 ORDER BY writer'),
		$node->safe_psql('postgres',
			'SELECT writer, n FROM heap_counter WHERE n > 0 ORDER BY writer'),
		"$when: counters in both kinds of table agree");
	return;
}

my ($total, $dropped) = (0, 0);
for my $round (0 .. $rounds - 1)
{
	my @pids = map { start_writer($_, $round) } 0 .. $writers - 1;
	sleep 0.2 + rand(1.2);
	my @all = children($node->{_pid});
	if ($round % 4 == 0)
	{
		# its children go on until they notice
		crash_postmaster($node);
		waitpid($_, 0) for @pids;
		start_again($node);
	}
	elsif ($round % 4 == 2)
	{
		# everything at once, as a machine does
		crash_postmaster($node, all => 1);
		waitpid($_, 0) for @pids;
		start_again($node);
	}
	else
	{
		my @backends = grep { process_title($_) =~ /\[local\]/ } @all;
		my @workers = grep { process_title($_) =~ /m3db/ } @all;
		@backends = @workers if @workers && $round % 8 == 7;
		my $victim = $backends[ rand @backends ];
		note("kill -9 of: " . process_title($victim));
		kill 9, $victim;
		waitpid($_, 0) for @pids;
		wait_until_up($node);
	}
	$total += read_acknowledgements($round);
	check("round $round");
	$dropped += $node->safe_psql('postgres', q(SELECT skipped_transactions FROM m3db.stat_bootstrap
		WHERE datname = current_database()));
}
note("$total transactions acknowledged, " . (scalar keys %present) . " present, $dropped dropped");
cmp_ok($total, '>', 20 * $rounds, 'the rounds had something to lose');
cmp_ok($dropped, '>', 0, 'and transactions to drop, that had not committed when the server died');

$node->stop;
$node->start;
check('after a clean restart');
$node->stop('immediate');
$node->start;
check('after an immediate stop');
$node->stop;

done_testing();
