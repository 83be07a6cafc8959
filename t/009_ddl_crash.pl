# TRUNCATE and DROP in spite of crashes: what was acknowledged stays gone, what was not
# committed is still there, and nothing else is touched; databases that are dropped take their
# files with them.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use M3dbTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_server('main');
my $connection = $node->connstr('postgres');
my @kill = ([ 'postmaster', sub { crash_postmaster($node); start_again($node) } ],
	[ 'everything', sub { crash_postmaster($node, all => 1); start_again($node) } ],
	[ 'a backend', \&crash_backend ]);

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub create
{
	my ($name, $options) = @_;
	return "CREATE FOREIGN TABLE $name (ts timestamptz, host text, v float8) SERVER m3 "
	  . ($options // '') . ";\n";
}

sub fill
{
	my ($name, $value) = @_;
	return "INSERT INTO $name SELECT '2024-01-01'::timestamptz + i * interval '1 hour',"
	  . " 'h' || i % 5, $value FROM generate_series(0, 99) i;\n";
}

sub crash_backend
{
	my ($stdin, $stdout) = ('', '');
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $connection ], '<', \$stdin, '>', \$stdout,
		'2>', '/dev/null', IPC::Run::timeout(60));
	$stdin = "SELECT pg_backend_pid();\n";
	IPC::Run::pump($psql) until $stdout =~ /(\d+)\n/;
	kill 9, $1;
	IPC::Run::kill_kill($psql);
	return wait_until_up($node);
}

# Statements in a session that is still in its transaction when this returns.
sub open_transaction
{
	my ($statements) = @_;
	my ($stdin, $stdout) = ('', '');
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $connection ], '<', \$stdin, '>', \$stdout,
		'2>', '/dev/null', IPC::Run::timeout(60));
	$stdin = "BEGIN;\n$statements\nSELECT 'done';\n";
	IPC::Run::pump($psql) until $stdout =~ /done/;
	return $psql;
}

sub contents
{
	my (@tables) = @_;
	return join(' ', map { "$_=" . sql("SELECT count(*) || '/' || coalesce(sum(v), 0) FROM $_") }
		  @tables);
}

# Points only in the log, in filesets, or in a snapshot and the log.
my @places = ([ 'in logs', '' ], [ 'on disk', 'SELECT m3db.flush();' ],
	[ 'in a snapshot', 'SELECT m3db.snapshot();' ],
	[ 'on disk and cleaned up', 'SELECT m3db.flush(); SELECT m3db.cleanup();' ]);

my $round = 0;
for my $place (@places)
{
	for my $kill (@kill)
	{
		my $when = "$place->[0], kill -9 of $kill->[0]";
		my @all = qw(keep emptied dropped shared shared2 again late);

		sql(join('', map { create($_) . fill($_, 1) } grep { $_ ne 'shared2' } @all)
			. create('shared2', "OPTIONS (namespace 'public.shared')"));
		sql($place->[1]) if $place->[1];
		sql(fill('keep', 2));

		# not committed
		my $psql = open_transaction(
			'TRUNCATE keep, emptied; DROP FOREIGN TABLE dropped, shared, shared2;'
			  . create('dropped') . fill('dropped', 3));
		$kill->[1]->();
		IPC::Run::kill_kill($psql);
		is(contents(@all), 'keep=100/200 emptied=100/100 dropped=100/100 shared=100/100 '
			  . 'shared2=100/100 again=100/100 late=100/100', "$when: nothing committed, nothing gone");

		# committed
		sql('TRUNCATE emptied; DROP FOREIGN TABLE dropped; DROP FOREIGN TABLE shared;'
			  . 'TRUNCATE late;' . fill('late', 5)
			  . 'BEGIN; INSERT INTO again VALUES (now(), \'x\', 9); DROP FOREIGN TABLE again;'
			  . create('again')
			  . "INSERT INTO again VALUES ('2024-01-01', 'new', 7); COMMIT;")
		  if $round % 2 == 0;
		# the same, with a log that nobody waits for
		sql('SET m3db.commitlog_strategy = behind;'
			  . 'TRUNCATE emptied; DROP FOREIGN TABLE dropped; DROP FOREIGN TABLE shared;'
			  . 'DROP FOREIGN TABLE again;' . create('again', "OPTIONS (block_size '1 hour')")
			  . 'SET m3db.commitlog_strategy = synchronous;'
			  . "INSERT INTO again VALUES ('2024-01-01', 'new', 7); TRUNCATE late;" . fill('late', 5))
		  if $round % 2 == 1;
		$kill->[1]->();
		sql(create('dropped'));
		my $expected = 'keep=100/200 emptied=0/0 dropped=0/0 shared2=100/100 again=1/7 late=100/500';
		my @left = qw(keep emptied dropped shared2 again late);
		is(contents(@left), $expected, "$when: what was acknowledged is gone");
		# once more, with what the worker made of it meanwhile
		sql('SELECT m3db.flush(); SELECT m3db.snapshot(); SELECT m3db.cleanup();') if $round % 3 == 0;
		$kill->[1]->();
		is(contents(@left), $expected, "$when: and stays so");
		$node->restart if $round % 4 == 0;
		is(contents(@left), $expected, "$when: after a clean restart, too") if $round % 4 == 0;

		sql("DROP FOREIGN TABLE keep, emptied, dropped, shared2, again, late;");
		is(sql('SELECT name FROM m3db.namespaces'), '', "$when: no namespace is left");
		$round++;
	}
}

# --- databases ---

sub directory_of { return $node->data_dir . "/m3db/$_[0]"; }

sub wait_until
{
	my ($what, $condition) = @_;
	my $deadline = time + 30;
	while (!$condition->() && time < $deadline)
	{
		sleep 0.05;
	}
	return ok($condition->(), $what);
}

sub make_database
{
	my ($name) = @_;
	sql("CREATE DATABASE $name");
	$node->safe_psql($name, 'CREATE EXTENSION m3db_fdw;'
		  . 'CREATE SERVER m3 FOREIGN DATA WRAPPER m3db_fdw;' . create('t') . fill('t', 1)
		  . 'SELECT m3db.flush();' . fill('t', 2) . 'SELECT m3db.snapshot();');
	return sql("SELECT oid FROM pg_database WHERE datname = '$name'");
}

my $oid = make_database('passing');
ok(-d directory_of($oid), 'a database has a directory');
my $copy = PostgreSQL::Test::Utils::tempdir() . '/copy';
copy_tree(directory_of($oid), $copy);
isnt($node->psql('postgres', 'BEGIN; DROP DATABASE passing; COMMIT;'), 0,
	'DROP DATABASE in a transaction is refused');
is($node->safe_psql('passing', 'SELECT count(*) FROM t'), 100, 'and the data is there');
sql('DROP DATABASE passing');
wait_until('DROP DATABASE removes the directory',
	sub { !-e directory_of($oid) && !-e directory_of("$oid.dropped") });
is(sql("SELECT count(*) FROM m3db.stat_bootstrap WHERE datid = $oid"), 0,
	'and the engine has forgotten it');

# more than there are places for, one after the other
for my $i (1 .. 3)
{
	$oid = make_database("n$i");
	sql("DROP DATABASE n$i");
}
wait_until('places are used again', sub { sql('SELECT databases FROM m3db.stat_engine') == 1 });

# left behind by a crash: half removed, or not at all
$node->stop;
copy_tree($copy, directory_of('4000000001'));
copy_tree($copy, directory_of('4000000002.dropped'));
$node->start;
sql(create('t') . fill('t', 1));
wait_until('what was half removed is removed at the start',
	sub { !-e directory_of('4000000002.dropped') });
is(sql('SELECT datid FROM m3db.orphan_roots'), '4000000001', 'an orphan is listed');
my ($state, $message) =
  sqlstate_of($node, 'SELECT m3db.drop_orphan_root(oid) FROM pg_database WHERE datname = current_database()');
is($state, '55006', 'data of a database that exists is not removed');
($state, $message) = sqlstate_of($node, 'SELECT m3db.drop_orphan_root(4000000009)');
is($state, '42704', 'nor what does not exist');
sql('SELECT m3db.drop_orphan_root(4000000001)');
ok(!-e directory_of('4000000001'), 'an orphan can be removed');
is(sql('SELECT count(*) FROM m3db.orphan_roots'), 0, 'and is gone');
is(contents('t'), 't=100/100', 'the others are as they were');

# --- the extension, and an engine that cannot be used ---

sql('BEGIN; DROP EXTENSION m3db_fdw CASCADE; ROLLBACK;');
is(contents('t'), 't=100/100', 'DROP EXTENSION is rolled back');
sql('DROP EXTENSION m3db_fdw CASCADE');
sql('CREATE EXTENSION m3db_fdw; CREATE SERVER m3 FOREIGN DATA WRAPPER m3db_fdw;' . create('t'));
is(contents('t'), 't=0/0', 'DROP EXTENSION removes the data');
sql(fill('t', 1));
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
my ($out, $err) = ('', '');
is($node->psql('postgres', "LOAD 'm3db_fdw'; ALTER FOREIGN TABLE t RENAME TO u; DROP FOREIGN TABLE u",
		stdout => \$out, stderr => \$err), 0, 'DROP works without the engine');
like($err, qr/WARNING:  data of namespace "public.t" is not removed/, 'and says what it leaves');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'm3db_fdw'\n");
$node->restart;
is(sql('SELECT name FROM m3db.unmapped_namespaces'), 'public.t', 'which is listed');
sql(q(SELECT m3db.drop_namespace('public.t')));
is(sql('SELECT count(*) FROM m3db.namespaces'), 0, 'and can be removed');
$node->stop;

done_testing();
