# Where the engine cannot run, each statement that needs it says so, and the server goes on.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use M3dbTest;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @reads = (
	'SELECT * FROM narrow',
	'SELECT count(*) FROM wide WHERE host IS NULL',
	q(SELECT n.usage FROM heap h LEFT JOIN narrow n ON n.usage = h.key));
my @writes = (
	q(INSERT INTO narrow VALUES ('2026-06-01 00:00+00', 'h', 2)),
	q(COPY narrow FROM PROGRAM 'printf "2026-06-01 00:00+00\th\t2\n"'));
my @views = ('SELECT * FROM m3db.namespaces');

sub refuses
{
	my ($node, $mode, $state, $message, @statements) = @_;
	for my $sql (@statements)
	{
		my ($got, $text) = sqlstate_of($node, $sql);
		is($got, $state, "$mode: $sql") or diag($text);
		like($text, $message, "$mode: the message of $sql");
	}
	is($node->safe_psql('postgres', 'SELECT 1'), '1', "$mode: the server lives");
	return;
}

# Anything but a crash, with an SQLSTATE that is not "internal error".
sub survives
{
	my ($node, $mode, @statements) = @_;
	for my $sql (@statements)
	{
		my ($state, $text) = sqlstate_of($node, $sql);
		unlike($state, qr/^(?:XX|\?|lost)/, "$mode: $sql") or diag($text);
	}
	return;
}

my $node = new_server('main', init => { allows_streaming => 1 });
create_tables($node);
$node->safe_psql('postgres', q(INSERT INTO heap VALUES (1);
INSERT INTO narrow VALUES ('2026-06-01 00:00+00', 'h', 1)));

# a standby
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
refuses($standby, 'standby', '25006', qr/standby|recovery|read-only/, @reads, @writes);
survives($standby, 'standby', @views, 'EXPLAIN SELECT * FROM narrow', 'SELECT * FROM heap');
$standby->promote;
ok($standby->poll_query_until('postgres', 'SELECT count(*) = 1 FROM narrow'),
	'promoted: what the backup held is there');
$standby->safe_psql('postgres', $writes[0]);
is($standby->safe_psql('postgres', 'SELECT usage FROM narrow'), '2', 'promoted: and it can write');
$standby->stop;

# not preloaded
$node->stop;
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->adjust_conf('postgresql.conf', 'm3db.buffer_size', undef);
$node->start;
refuses($node, 'not preloaded', '55000', qr/shared_preload_libraries/, @reads, @writes);
survives($node, 'not preloaded', @views, 'EXPLAIN SELECT * FROM narrow', 'ANALYZE heap',
	'BEGIN; DROP FOREIGN TABLE narrow; ROLLBACK',
	'CREATE FOREIGN TABLE later (ts timestamptz NOT NULL, v float8) SERVER m3',
	'SET m3db.commitlog_strategy = behind');
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
my ($state, $text) = sqlstate_of($node, '\c fresh
CREATE EXTENSION m3db_fdw');
ok($state eq '00000' || ($state eq '55000' && $text =~ /shared_preload_libraries/),
	'not preloaded: CREATE EXTENSION works or says why not') or diag("$state $text");
$node->stop;

# single-user mode
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'m3db_fdw'");
{
	my ($out, $err) = ('', '');
	my $ended = IPC::Run::run([ 'postgres', '--single', '-D', $node->data_dir, 'postgres' ],
		'<', \join("\n", @reads, $writes[0], @views, 'SELECT 41 + 1 AS alive', ''),
		'>', \$out, '2>', \$err);
	ok($ended, 'single-user mode ends well') or diag($err);
	my @errors = grep { /ERROR:/ } split /\n/, $err;
	cmp_ok(scalar @errors, '>=', @reads + 1, 'single-user mode: each statement is refused');
	like($_, qr/single-user/, 'single-user mode: the message says why') for @errors[ 0 .. $#reads ];
	like($out, qr/alive = "42"/, 'single-user mode: the session lives');
}

# what pg_upgrade does to the old and the new server
IPC::Run::run([ 'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o', '-b', 'start' ])
  or BAIL_OUT('pg_ctl -o -b start failed');
$node->_update_pid(1);
refuses($node, 'binary upgrade', '0A000', qr/upgrade/, @reads, $writes[0]);
survives($node, 'binary upgrade', @views,
	'CREATE FOREIGN TABLE upgraded (ts timestamptz NOT NULL, v float8) SERVER m3',
	'DROP FOREIGN TABLE upgraded');
$node->stop;

# and back to normal
$node->start;
is($node->safe_psql('postgres', 'SELECT usage FROM narrow'), '1',
	'nothing of this has touched the data');
is($node->safe_psql('postgres', 'SELECT count(*) FROM later'), '0', 'the table made meanwhile works');
unlike(slurp_file($_->logfile), qr/PANIC|TRAP|terminated by signal/, 'no crash of our own')
  for $node, $standby;
$node->stop;

done_testing();
