# Damage to a commit log costs what is damaged and nothing else, and the server says so.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use M3dbTest;
use File::Basename qw(basename);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $files = 3;
my $batches = 12;
my $rows = 25;
seed(3);

my $node = new_server('main');
create_tables($node);
# The logs are to be the only copy: what is in files as well is not lost with them.
$node->safe_psql('postgres', "ALTER FOREIGN TABLE $_ OPTIONS (ADD flush_enabled 'false')")
  for qw(narrow wide);
my $directory = commitlog_directory($node);
my $root = $node->data_dir . '/m3db';
my $saved = PostgreSQL::Test::Utils::tempdir() . '/saved';

# Each restart starts a log of its own; each batch is one transaction. $end[file][batch] is where
# the log ended once the batch was acknowledged.
my @end;
my @log;
for my $file (0 .. $files - 1)
{
	for my $batch (0 .. $batches - 1)
	{
		my $key = $file * 1000 + $batch;
		$node->safe_psql('postgres', <<SQL);
BEGIN;
INSERT INTO narrow SELECT timestamptz '2026-03-01 00:00+00' + interval '1 second' * (random() * 80000)::int
    + interval '1 microsecond' * ($key * 100 + i), 'h' || i % 3, $key FROM generate_series(1, $rows) i;
INSERT INTO wide SELECT timestamptz '2026-03-01 00:00+00' + interval '1 second' * ($key * 100 + i), 'w', $key, NULL, $key
  FROM generate_series(1, 5) i;
COMMIT;
SQL
		my $active = (commitlogs($directory))[-1];
		$log[$file] = $active;
		$end[$file][$batch] = written_size($active);
	}
	$node->stop('immediate');
	$node->start;
}
$node->stop('immediate');
copy_tree($root, $saved);

# Whole batches present, by file; anything in part fails.
sub batches_present
{
	my ($name) = @_;
	my %narrow = map { split /\|/ } split /\n/,
	  $node->safe_psql('postgres', 'SELECT usage::int, count(*) FROM narrow GROUP BY 1');
	my %wide = map { split /\|/ } split /\n/,
	  $node->safe_psql('postgres', 'SELECT a::int, count(*) FROM wide WHERE c = a GROUP BY 1');
	my %both = (%narrow, %wide);
	my @part = grep { ($narrow{$_} // 0) != $rows || ($wide{$_} // 0) != 5 } sort keys %both;
	is("@part", '', "$name: no batch is there in part");
	return map { $_ => 1 } keys %narrow;
}

# damaged FILE AT: the log from byte AT on may be lost, no more than that. The rest of the file's
# batches come back or do not, whole; exactly => 1 says that they do not.
sub try_damage
{
	my ($name, $file, $at, $damage, %options) = @_;
	copy_tree($saved, $root);
	$damage->($log[$file]);
	my $position = log_position($node);
	$node->start;
	my %present = batches_present($name);
	my @missing;
	for my $f (0 .. $files - 1)
	{
		for my $b (0 .. $batches - 1)
		{
			push @missing, "$f/$b" if !$present{ $f * 1000 + $b } && ($f != $file || $end[$f][$b] <= $at);
		}
	}
	is("@missing", '', "$name: all else is there");
	if ($options{exactly})
	{
		my @more = grep { $end[$file][$_] > $at && $present{ $file * 1000 + $_ } } 0 .. $batches - 1;
		is("@more", '', "$name: and nothing that was cut off");
	}
	my $base = basename($log[$file]);
	like(log_since($node, $position), qr/(?:WARNING|LOG):[^\n]*\Q$base\E/,
		"$name: the server's log names the file")
	  unless $options{silent};

	# The damage is dealt with: writing goes on, and a second start finds the same.
	$node->safe_psql('postgres', q(INSERT INTO narrow VALUES ('2026-03-05 00:00+00', 'after', 1)));
	my $question = q(SELECT count(*), md5(string_agg(ts::text || host || usage::text, ',' ORDER BY host, ts)) FROM narrow);
	my $answer = $node->safe_psql('postgres', $question);
	$node->stop('immediate');
	$node->start;
	is($node->safe_psql('postgres', $question), $answer, "$name: a second start finds the same");
	$node->stop('immediate');
	return;
}

sub cut { my ($size) = @_; return sub { truncate($_[0], $size) or die "truncate: $!" } }

sub overwrite
{
	my ($at, $bytes) = @_;
	return sub {
		open(my $fh, '+<:raw', $_[0]) or die "open: $!";
		seek($fh, $at, 0);
		print $fh $bytes;
		close $fh;
	};
}

sub flip
{
	my ($at) = @_;
	return sub {
		my $content = slurp_file($_[0]);
		substr($content, $at, 1) ^= chr(1 << int(rand(8)));
		overwrite($at, substr($content, $at, 1))->($_[0]);
	};
}

# Where a batch ends is the last byte that is not zero; a group may end with zeros of its own.
my $last = $end[1][$batches - 1];
my $before_last = $end[1][$batches - 2];

try_damage('nothing', 1, $last, sub { }, silent => 1);
try_damage('last byte cut off', 1, $last - 1, cut($last - 1), exactly => 1);
try_damage('cut in the last batch', 1, $before_last + 20, cut($before_last + 20), exactly => 1);
for my $i (1 .. 4)
{
	my $at = $end[1][0] + int(rand($last - $end[1][0]));
	try_damage("cut at $at", 1, $at, cut($at), exactly => 1, silent => grep { $_ == $at } @{ $end[1] });
}
{
	my $at = $end[1][5] + 30;
	try_damage('zeros from there on', 1, $at, overwrite($at, "\0" x ($last - $at)), exactly => 1);
	try_damage('zeros to a longer tail', 1, $last, overwrite($last + 16, "\0" x 100_000), silent => 1);
	try_damage('noise after the end', 1, $last,
		overwrite($last + 16, join('', map { chr(int(rand(256))) } 1 .. 5000)), silent => 1);
}
for my $i (1 .. 6)
{
	my $at = $end[1][1] + int(rand($last - $end[1][1] - 1));
	try_damage("bit flipped at $at", 1, $at, flip($at));
}
try_damage('bit flipped in the newest log', 2, $end[2][3] + 40, flip($end[2][3] + 40));
try_damage('empty file', 1, 0, cut(0), silent => 1);
try_damage('file gone', 1, 0, sub { unlink $_[0] or die "unlink: $!" }, silent => 1);
try_damage('oldest file cut', 0, $end[0][4], cut($end[0][4] + 12), exactly => 1);
try_damage('header cut', 1, 0, cut(5), exactly => 1);

copy_tree($saved, $root);
$node->start;
open(my $stray, '>', "$directory/notes.txt") or die "open: $!";
print $stray "not a log\n";
close $stray;
$node->restart;
is($node->safe_psql('postgres', 'SELECT count(DISTINCT usage) FROM narrow'), $files * $batches,
	'a file that is no log is left alone');
ok(-e "$directory/notes.txt", 'and stays');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no crash of our own');
$node->stop;

done_testing();
