# The background worker by itself: buffers go to files when their time has come or memory runs
# short, what has left retention goes for good, files stay while a backup may read them; and it
# fails, stops and dies without harm.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use M3dbTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_server('main', init => { allows_streaming => 1 }, conf => <<CONF);
m3db.tick_interval = 1s
m3db.cold_flush_interval = 0
m3db.snapshot_interval = 1s
m3db.snapshot_min_log_size = 0
m3db.buffer_size = 16MB
CONF
create_tables($node);

# Until a query gives the answer, for a while.
sub eventually
{
	my ($sql, $expected, $name) = @_;
	my $deadline = time + 60;
	my $answer = '';
	while (time < $deadline)
	{
		# an error, such as that the worker closes the logs, is no answer
		my ($status, $out) = $node->psql('postgres', $sql);
		$answer = $status == 0 ? $out : 'error';
		last if $answer eq $expected;
		sleep 0.1;
	}
	return is($answer, $expected, $name);
}

sub figures { return $node->safe_psql('postgres', "SELECT count(*), sum(usage) FROM $_[0]"); }

# The session of a query that does not end by itself.
sub start_query
{
	my ($sql, $marker) = @_;
	my %query = (in => '', out => '', err => '');
	$query{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
		'<', \$query{in}, '>', \$query{out}, '2>', \$query{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	$query{in} .= "$sql\n";
	if (defined $marker)
	{
		$query{run}->pump_nb until $query{out} =~ /$marker/ || $query{err} =~ /\S/;
	}
	else { $query{run}->pump_nb for 1 .. 20; }
	return \%query;
}

sub end_query
{
	my ($query) = @_;
	$query->{in} .= "\\q\n";
	$query->{run}->finish;
	return;
}

# By itself: buffers to files, logs away.
$node->safe_psql('postgres', <<SQL);
INSERT INTO narrow SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 min', 'h' || i % 10, i
  FROM generate_series(1, 5000) i;
SQL
my $expected = figures('narrow');
eventually(q(SELECT points, files > 0 FROM m3db.namespaces WHERE name = 'public.narrow'), '0|t',
	'a block that has ended is flushed');
eventually(q(SELECT runs > 0 FROM m3db.stat_jobs WHERE job = 'cleanup' AND datname = 'postgres'),
	't', 'cleanup has removed something');
is(figures('narrow'), $expected, 'and nobody sees a difference');
$node->safe_psql('postgres', "INSERT INTO narrow VALUES ('2026-01-01 12:00+00', 'h1', 7)");
$expected = figures('narrow');
eventually(q(SELECT n.points, max(f.volume) FROM m3db.namespaces n JOIN m3db.filesets f
	ON f.namespace = n.name WHERE n.name = 'public.narrow' GROUP BY 1), '0|1',
	'a late point is flushed too, to a second volume');
is(figures('narrow'), $expected, 'and is read from there');
my $log = slurp_file($node->logfile);
like($log, qr/m3db flush of database \d+: \d+ filesets \(0 cold\), \d+ series, .*B, \d+\.\d+ s/,
	'flushes are logged');
like($log, qr/m3db cleanup of database \d+: .* commit logs/, 'cleanups are logged');
unlike($log, qr/m3db tick of/, 'ticks are not');

# Points on disk survive a restart, a crash, and a death of the worker.
$node->restart;
is(figures('narrow'), $expected, 'after a restart');
crash_postmaster($node);
start_again($node);
is(figures('narrow'), $expected, 'after a crash');
my $worker = $node->safe_psql('postgres', 'SELECT worker_pid FROM m3db.stat_engine');
kill 'TERM', $worker;
eventually("SELECT worker_pid <> $worker FROM m3db.stat_engine WHERE worker_pid IS NOT NULL", 't',
	'another worker takes over');
is($node->safe_psql('postgres', q(SELECT held FROM m3db.flush('narrow'))), 0, 'and serves requests');

# Idle, it hardly ever wakes up.
sleep 3;
sub switches
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m ? $1 : 0;
}
SKIP:
{
	skip 'no /proc', 1 if !-e '/proc/self/status';
	$worker = $node->safe_psql('postgres', 'SELECT worker_pid FROM m3db.stat_engine');
	my $before = switches($worker);
	sleep 5;
	cmp_ok(switches($worker) - $before, '<=', 12, 'an idle worker sleeps');
}

# What has left retention goes, with its series.
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE short (ts timestamptz NOT NULL, host text, usage float8) SERVER m3
  OPTIONS (namespace 'short', retention_period '6 s', block_size '2 s', buffer_past '0 s', buffer_future '0 s');
INSERT INTO short VALUES (now(), 'a', 1);
SQL
eventually(q(SELECT count(*) FROM short), '0', 'points leave retention');
# a root nobody writes to is looked at once a minute
$node->safe_psql('postgres', "INSERT INTO narrow VALUES ('2026-01-01 12:00+00', 'h1', 7)");
eventually(q(SELECT points, files, series FROM m3db.namespaces WHERE name = 'short'), '0|0|0',
	'their files and series go');
my $short = (commitlog_directory($node) =~ s/commitlogs$/data\/short/r);
my $deadline = time + 30;
sleep 0.2 while glob("$short/*/*") && time < $deadline;
is(join(' ', glob("$short/*/*")), '', 'from disk, too');

# A snapshot in use holds points back.
my $reader = start_query(
	"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*), 'rows' FROM narrow;", 'rows');
$node->safe_psql('postgres', "INSERT INTO narrow VALUES ('2026-03-01 00:00+00', 'h1', 1)");
is($node->safe_psql('postgres', q(SELECT held > 0 FROM m3db.flush('narrow'))), 't',
	'points a snapshot does not see are held');
$reader->{in} .= "SELECT count(*), 'again' FROM narrow;\n";
$reader->{run}->pump until $reader->{out} =~ /again/;
my @counts = $reader->{out} =~ /^(\d+)\|/mg;
is($counts[0], $counts[1], 'and it does not see them afterwards');
end_query($reader);
is($node->safe_psql('postgres', q(SELECT held FROM m3db.flush('narrow'))), '0', 'later they are not');
$expected = figures('narrow');

# Memory runs short: more is written than fits in.
my $start = log_position($node);
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE large (ts timestamptz NOT NULL, host text, usage float8) SERVER m3
  OPTIONS (namespace 'large', block_size '1 day');
DO \$\$ BEGIN
	FOR k IN 0 .. 29 LOOP
		INSERT INTO large SELECT now() - interval '20 min' + (k * 1000 + i) * interval '1 ms', 'h' || j, random()
		  FROM generate_series(1, 1000) i, generate_series(1, 100) j;
		COMMIT;
	END LOOP;
END \$\$;
SQL
is($node->safe_psql('postgres', 'SELECT count(*) FROM large'), 3_000_000,
	'more points than fit into the buffers');
cmp_ok($node->safe_psql('postgres',
		q(SELECT sum(file_bytes) FROM m3db.namespaces WHERE name = 'large')),
	'>', 8 * 1024 * 1024, 'are in files though their block has not ended');
unlike(log_since($node, $start), qr/ERROR:/, 'and nobody met an error');

# Nothing can be flushed while a snapshot is held: writers get an error, and the log says why.
$start = log_position($node);
$reader = start_query(
	"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*), 'rows' FROM narrow;", 'rows');
my ($state) = sqlstate_of($node, <<SQL);
SET m3db.write_wait_timeout = '2s';
DO \$\$ BEGIN
	FOR k IN 30 .. 59 LOOP
		INSERT INTO large SELECT now() - interval '20 min' + (k * 1000 + i) * interval '1 ms', 'h' || j, random()
		  FROM generate_series(1, 1000) i, generate_series(1, 100) j;
		COMMIT;
	END LOOP;
END \$\$;
SQL
is($state, '53200', 'buffers that cannot be flushed fill up');
my @complaints = log_since($node, $start) =~ /(writers wait for space)/g;
is(scalar @complaints, 1, 'the log says so, once');
end_query($reader);
is($node->safe_psql('postgres', <<SQL), 1, 'and there is room again after it');
INSERT INTO large VALUES (now(), 'room', 1);
SELECT count(*) FROM large WHERE host = 'room';
SQL
$node->safe_psql('postgres', 'DROP FOREIGN TABLE large');

# Files stay while a base backup runs; the backup is good.
my $backup = $node->backup_dir . '/slow';
my $copying = IPC::Run::start(
	[ 'pg_basebackup', '-h', $node->host, '-p', $node->port, '-D', $backup, '-X', 'stream',
		'-c', 'fast', '-r', '4M', '--no-sync' ], '<', \undef, '>', \my $copy_out, '2>', \my $copy_err);
$node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM pg_stat_progress_basebackup
	WHERE phase = \'streaming database files\'');
($state) = sqlstate_of($node, 'SELECT m3db.cleanup()');
is($state, '55006', 'no cleanup while a backup runs');
$node->safe_psql('postgres', "INSERT INTO narrow VALUES ('2026-01-02 00:00+00', 'h2', 9)");
is($node->safe_psql('postgres', q(SELECT held FROM m3db.flush('narrow'))), '0', 'but flushes');
my $during = figures('narrow');
ok($copying->finish, 'the backup ends');
is($node->safe_psql('postgres', 'SELECT logs >= 0 FROM m3db.cleanup()'), 't', 'and cleanup goes on');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'slow');
$copy->start;
my $copied = $copy->safe_psql('postgres', 'SELECT count(*), sum(usage) FROM narrow');
ok($copied eq $during || $copied eq $expected, 'the backup has the points')
  or diag("$copied, not $expected or $during");
$copy->stop;
$expected = $during;

# A flush that fails says so to who asked for it, and to the log, and is tried again.
my $data = (commitlog_directory($node) =~ s/commitlogs$/data/r);
$start = log_position($node);
chmod 0500, glob("$data/public.narrow/*");
($state, my $message) = sqlstate_of($node,
	"INSERT INTO narrow VALUES ('2026-01-01 12:00+00', 'h1', 8); SELECT m3db.flush('narrow')");
is($state, '42501', 'a flush that cannot write fails') or diag($message);
$during = figures('narrow');
eventually(q(SELECT failures > 0 AND last_error <> '' FROM m3db.stat_jobs
	WHERE job = 'flush' AND datname = 'postgres'), 't', 'the failure is counted');
$deadline = time + 30;
sleep 0.2 while log_since($node, $start) !~ /will try again/ && time < $deadline;
like(log_since($node, $start), qr/m3db flush of database \d+ failed, will try again in 5 s/,
	'the worker says when it tries again');
sleep 2.5;
@complaints = log_since($node, $start) =~ /(will try again)/g;
is(scalar @complaints, 1, 'which is not at once');
is(figures('narrow'), $during, 'nothing is lost by it');
chmod 0700, glob("$data/public.narrow/*");
eventually(q(SELECT points FROM m3db.namespaces WHERE name = 'public.narrow'), '0', 'later it works');
is(figures('narrow'), $during, 'the points are in files');
$expected = $during;

# Long work: many blocks. It shows, may be given up by who asked for it, and stops with the server.
sub many_blocks
{
	my ($first) = @_;
	$node->safe_psql('postgres', <<SQL);
INSERT INTO wide SELECT timestamptz '2000-01-01 00:00+00' + i * interval '1 day', 'h' || i % 50, $first, i, i
  FROM generate_series(1, 4000) i;
SQL
	return;
}
$node->safe_psql('postgres', "ALTER SYSTEM SET m3db.tick_interval = '1h'");
$node->restart;
$node->safe_psql('postgres', q(SELECT held FROM m3db.flush()));
many_blocks(1);
($state) = sqlstate_of($node, q(SET statement_timeout = '200ms'; SELECT m3db.flush()));
is($state, '57014', 'who waits for a flush can be interrupted');
like($node->safe_psql('postgres', q(SELECT job, subject, done <= total, bytes > 0 FROM m3db.stat_progress)),
	qr/^flush\|public\.wide\|t\|t$/, 'the flush goes on, and shows how far it is');
$node->safe_psql('postgres', <<SQL);
SET m3db.commitlog_strategy = behind;
INSERT INTO narrow VALUES (now(), 'behind', 0);
SQL
my $stopped = time;
$node->stop;
cmp_ok(time - $stopped, '<', 8, 'a flush does not keep the server from stopping');
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*), sum(a), count(c) FROM wide'), '4000|4000|4000',
	'what was being flushed is there');
is($node->safe_psql('postgres', q(SELECT count(*) FROM narrow WHERE host = 'behind')), 1,
	'and so is what was committed last, without waiting');
many_blocks(2);
my $flush = start_query('SELECT m3db.flush();');
$node->poll_query_until('postgres', q(SELECT count(*) = 1 FROM m3db.stat_progress WHERE done > 20));
crash_postmaster($node);
start_again($node);
eval { end_query($flush) };
is($node->safe_psql('postgres', 'SELECT count(*), sum(a), count(c) FROM wide'), '4000|8000|4000',
	'a crash in the middle of a flush loses nothing');
$node->stop;

done_testing();
