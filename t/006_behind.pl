# Strategy "behind": a clean stop loses nothing, a crash at most m3db.commitlog_flush_interval,
# and what it loses are the last transactions.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use M3dbTest;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $interval = 0.5;
my $slack = 0.5;    # a busy machine
seed(6);

my $node = new_server('main', conf => "m3db.commitlog_flush_interval = 500ms\n");
create_tables($node);
my $directory = PostgreSQL::Test::Utils::tempdir();
my $connection = $node->connstr('postgres');

# Transactions first .. of one session; the child ends with the server.
sub start_writer
{
	my ($settings, $first, $file, $with_heap) = @_;
	my $pid = fork // die "fork: $!";
	return $pid if $pid;
	$SIG{PIPE} = 'IGNORE';
	alarm 60;
	open(my $psql, '|-', "exec psql -XAtq -v ON_ERROR_STOP=1 -d '$connection' >$file 2>$file.errors")
	  or POSIX::_exit(1);
	$psql->autoflush(1);
	print $psql "$settings;\n";
	for my $n ($first .. $first + 99_999)
	{
		my $insert = "INSERT INTO narrow VALUES (clock_timestamp(), 'h', $n);";
		$insert = "BEGIN; INSERT INTO heap VALUES ($n); $insert COMMIT;" if $with_heap;
		print $psql "$insert\n\\echo $n\n" or last;
	}
	close $psql;
	POSIX::_exit(0);
}

sub last_acknowledged
{
	my ($file) = @_;
	my @lines = grep { /^\d+$/ } split /\n/, slurp_file($file);
	unlike(slurp_file("$file.errors"), qr/ERROR:/, 'the writer met no error but the crash');
	return $lines[-1] // 0;
}

my $first = 1;
for my $case (
	[ 'm3db.commitlog_strategy = behind', 'SET m3db.commitlog_strategy = behind', 0 ],
	[ 'synchronous_commit = off', 'SET synchronous_commit = off', 0 ],
	[ 'behind, with a plain table', 'SET m3db.commitlog_strategy = behind', 1 ])
{
	my ($name, $settings, $with_heap) = @$case;

	# a clean stop
	my $sql = join(' ', map { "INSERT INTO narrow VALUES (clock_timestamp(), 'h', $_);" }
		  $first .. $first + 299);
	$node->safe_psql('postgres', "$settings; $sql");
	$node->restart;
	is($node->safe_psql('postgres', "SELECT count(*) FROM narrow WHERE usage >= $first"), 300,
		"$name: a clean stop loses nothing");
	$first += 1000;

	for my $round (1 .. 3)
	{
		my $file = "$directory/$first";
		my $pid = start_writer($settings, $first, $file, $with_heap);
		sleep 1.2 + rand(1);
		my $killed = time;
		crash_postmaster($node);
		waitpid($pid, 0);
		start_again($node);

		my $acknowledged = last_acknowledged($file);
		my ($count, $last, $when) = split /\|/, $node->safe_psql('postgres',
			"SELECT count(*), max(usage), extract(epoch FROM max(ts)) FROM narrow WHERE usage >= $first");
		cmp_ok($count, '>', 0, "$name, crash $round: something was written");
		is($count, $last - $first + 1, "$name, crash $round: only the last transactions are lost");
		cmp_ok($last, '<=', $acknowledged + 1, "$name, crash $round: nothing is invented");
		my $lost = $acknowledged > $last ? $killed - $when : 0;
		cmp_ok($lost, '<=', $interval + $slack, sprintf('%s, crash %d: %d of %d lost, %.2f s',
				$name, $round, $acknowledged - $last, $acknowledged - $first + 1, $lost));
		is($node->safe_psql('postgres', "SELECT count(*) FROM narrow n WHERE usage >= $first"
				  . " AND NOT EXISTS (SELECT FROM heap WHERE key = n.usage)"),
			0, "$name, crash $round: no point without its plain row") if $with_heap;
		$first += 100_000;
	}
}

# A synchronous transaction takes the earlier ones of others with it.
$node->safe_psql('postgres', <<SQL);
SET m3db.commitlog_strategy = behind;
INSERT INTO narrow SELECT timestamptz '2026-07-01 00:00+00' + interval '1 second' * i, 'both', i
  FROM generate_series(1, 100) i;
SET m3db.commitlog_strategy = synchronous;
INSERT INTO narrow VALUES ('2026-07-02 00:00+00', 'both', 0);
SQL
crash_postmaster($node);
start_again($node);
is($node->safe_psql('postgres', q(SELECT count(*) FROM narrow WHERE host = 'both')), 101,
	'what a synchronous commit follows is durable with it');
$node->stop;

done_testing();
