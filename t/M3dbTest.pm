# Helpers of the TAP tests: servers with the library preloaded, and ways to kill them.
package M3dbTest;

use strict;
use warnings;
use Exporter 'import';
use File::Copy ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(seed new_server create_tables children process_title crash_postmaster
  start_again wait_until_up commitlog_directory commitlogs copy_tree written_size
  sqlstate_of log_position log_since);

# A seed for rand, printed, and the same in each run unless M3DB_SEED says otherwise.
sub seed
{
	my $seed = $ENV{M3DB_SEED} // shift;
	srand($seed);
	diag("seed $seed (set M3DB_SEED to choose another)");
	return $seed;
}

# A started server with extension and foreign server "m3" in database postgres.
#   conf     further lines for postgresql.conf
#   init     parameters of init()
#   env      environment of the server
sub new_server
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(%{ $options{init} // {} });
	$node->append_conf('postgresql.conf', <<CONF);
shared_preload_libraries = 'm3db_fdw'
m3db.buffer_size = 64MB
fsync = on
restart_after_crash = on
log_statement = none
timezone = 'UTC'
CONF
	$node->append_conf('postgresql.conf', $options{conf}) if $options{conf};
	{
		local %ENV = (%ENV, %{ $options{env} // {} });
		$node->start;
	}
	$node->safe_psql('postgres', <<SQL);
CREATE EXTENSION m3db_fdw;
CREATE SERVER m3 FOREIGN DATA WRAPPER m3db_fdw;
SQL
	return $node;
}

# One table of each shape, and a plain one to go with them.
sub create_tables
{
	my ($node) = @_;
	$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE narrow (ts timestamptz NOT NULL, host text, usage float8) SERVER m3;
CREATE FOREIGN TABLE wide (ts timestamptz NOT NULL, host text, a float8, b float8, c float8)
  SERVER m3;
CREATE TABLE heap (key bigint PRIMARY KEY);
SQL
	return;
}

sub children
{
	my ($parent) = @_;
	my @found;
	for my $stat (glob '/proc/[0-9]*/stat')
	{
		open(my $fh, '<', $stat) or next;
		my $line = <$fh> // next;
		push @found, $1 if $line =~ /^(\d+) \(.*\) \S (\d+)/ && $2 == $parent;
	}
	return @found;
}

sub process_title
{
	my ($pid) = @_;
	open(my $fh, '<', "/proc/$pid/cmdline") or return '';
	my $title = <$fh> // '';
	$title =~ tr/\0/ /;
	return $title;
}

# kill -9 of the postmaster. Its children notice by themselves, unless they are killed with it
# (all => 1); until they have gone, no new one may start. One that stays would be a bug: it is
# reported, and ended.
sub crash_postmaster
{
	my ($node, %options) = @_;
	my $pid = $node->{_pid};
	kill 'STOP', $pid;    # so that it has no more children than these
	my @left = ($pid, children($pid));
	kill 9, @left if $options{all};
	$node->kill9;
	my $deadline = time + 60;
	while ((@left = grep { kill(0, $_) } @left) && time < $deadline)
	{
		sleep 0.02;
	}
	if (@left)
	{
		fail("processes outlive the postmaster: " . join('; ', map { process_title($_) } @left));
		kill 9, @left;
		sleep 1;
	}
	return;
}

sub start_again
{
	my ($node) = @_;
	$node->start;
	return;
}

# After a backend's crash: until the server takes connections again.
sub wait_until_up
{
	my ($node) = @_;
	my $deadline = time + 60;
	while (time < $deadline)
	{
		# a psql that is turned away may be gone before it is given its statement
		my ($status, $out) = eval { $node->psql('postgres', 'SELECT 1') };
		return 1 if defined $status && $status == 0 && $out eq '1';
		sleep 0.05;
	}
	fail('the server comes back after a crash');
	return 0;
}

sub commitlog_directory
{
	my ($node, $root) = @_;
	my $oid = $node->safe_psql('postgres',
		q(SELECT oid FROM pg_database WHERE datname = 'postgres'));
	$root //= $node->data_dir . '/m3db';
	return "$root/$oid/commitlogs";
}

# The log files of a directory, oldest first.
sub commitlogs
{
	my ($directory) = @_;
	my %index;
	for my $file (glob "$directory/commitlog-*.db")
	{
		$index{$file} = $1 if $file =~ /-(\d+)\.db$/;
	}
	return sort { $index{$a} <=> $index{$b} } keys %index;
}

sub copy_tree
{
	my ($from, $to) = @_;
	system('rm', '-rf', $to) == 0 && system('cp', '-a', $from, $to) == 0
	  or die "could not copy $from to $to";
	return;
}

# Bytes of a file up to its last one that is not zero: the rest was only set aside.
sub written_size
{
	my ($file) = @_;
	my $content = slurp_file($file);
	$content =~ s/\0+\z//;
	return length $content;
}

# The SQLSTATE a statement fails with, and its message; ('00000', output) if it works.
sub sqlstate_of
{
	my ($node, $sql) = @_;
	my ($out, $err) = ('', '');
	my $status = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql",
		stdout => \$out, stderr => \$err, on_error_stop => 1);
	return ('00000', $out) if $status == 0;
	return ($1, $err) if $err =~ /(?:ERROR|FATAL|PANIC):  ([0-9A-Z]{5}):/;
	return ('lost', $err) if $err =~ /connection/;
	return ('?', $err);
}

sub log_position { return -s $_[0]->logfile // 0; }

sub log_since
{
	my ($node, $position) = @_;
	open(my $fh, '<', $node->logfile) or return '';
	seek($fh, $position, 0);
	local $/ = undef;
	return <$fh> // '';
}

1;
