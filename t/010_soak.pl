# Ten minutes in bounded memory: writers, readers, ALTER, TRUNCATE, jobs and kill -9. Each transaction writes
# the same rows to a table of ours and to a plain one, so at every stop both must agree, and memory,
# logs and files must have stayed as small as the settings say.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use M3dbTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{M3DB_SOAK_SECONDS} // 600;
my $cycle_seconds = 60;
my $writers = 3;
seed(10);

my $node = new_server('soak', conf => <<'CONF');
m3db.buffer_size = 16MB
m3db.commitlog_max_size = 4MB
m3db.commitlog_preallocate_size = 1MB
m3db.tick_interval = 1s
m3db.cold_flush_interval = 5s
m3db.snapshot_interval = 5s
m3db.snapshot_min_log_size = 2MB
m3db.write_wait_timeout = 60s
max_wal_size = 4GB
CONF

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE m (ts timestamptz NOT NULL, host text, v float8)
  SERVER m3 OPTIONS (block_size '1 hour');
CREATE TABLE w (ts timestamptz, host text, v float8, seq bigserial);
CREATE FOREIGN TABLE m_cut (ts timestamptz NOT NULL, host text, v float8)
  SERVER m3 OPTIONS (block_size '1 hour');
CREATE TABLE w_cut (ts timestamptz, host text, v float8, seq bigserial);
-- what a writer adds: most of it around now, some late, some again
CREATE FUNCTION rows(client int, n int) RETURNS TABLE (ts timestamptz, host text, v float8)
LANGUAGE sql VOLATILE AS $$
  SELECT CASE WHEN i % 50 = 0
              THEN date_trunc('second', now()) - (random() * 20000)::int * interval '1 second'
              ELSE now() - random() * interval '10 minutes' END,
         'h' || client || '-' || i % 20, random() * 1000
    FROM generate_series(1, n) i
$$;
-- an option that is given is dropped, another one added: a crash may come between the two
CREATE FUNCTION turn(option text, value text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format(CASE WHEN EXISTS (SELECT FROM pg_foreign_table, unnest(ftoptions) o
                                    WHERE ftrelid = 'm'::regclass AND o LIKE option || '=%')
                      THEN 'ALTER FOREIGN TABLE m OPTIONS (DROP %1$I)'
                      ELSE 'ALTER FOREIGN TABLE m OPTIONS (ADD %1$I %2$L)' END, option, value);
END
$$;
SQL

my $write_script = $node->basedir . '/write.sql';
append_to_file($write_script, <<'SQL');
\set n random(1, 600)
CREATE TEMP TABLE IF NOT EXISTS batch (ts timestamptz, host text, v float8);
BEGIN;
TRUNCATE batch;
INSERT INTO batch SELECT DISTINCT ON (ts, host) * FROM rows(:client_id, :n);
INSERT INTO w SELECT * FROM batch;
INSERT INTO m SELECT * FROM batch;
COMMIT;
\sleep 50 ms
SQL

my $cut_script = $node->basedir . '/cut.sql';
append_to_file($cut_script, <<'SQL');
\set n random(1, 300)
\set cut random(1, 40)
CREATE TEMP TABLE IF NOT EXISTS batch (ts timestamptz, host text, v float8);
BEGIN;
TRUNCATE batch;
INSERT INTO batch SELECT DISTINCT ON (ts, host) * FROM rows(9, :n);
\if :cut = 1
TRUNCATE w_cut;
TRUNCATE m_cut;
\endif
INSERT INTO w_cut SELECT * FROM batch;
INSERT INTO m_cut SELECT * FROM batch;
COMMIT;
\sleep 50 ms
SQL

my $read_script = $node->basedir . '/read.sql';
append_to_file($read_script, <<'SQL');
\set host random(0, 19)
\set back random(1, 5000)
SELECT count(*), sum(v), min(ts), max(ts) FROM m
 WHERE host = 'h1-' || :host AND ts >= now() - :back * interval '1 second';
SELECT host, count(*), avg(v) FROM m WHERE ts >= now() - interval '10 minutes' GROUP BY host;
\sleep 100 ms
SQL

my $alter_script = $node->basedir . '/alter.sql';
append_to_file($alter_script, <<'SQL');
\set policy random(1, 3)
\if :policy = 1
SELECT turn('cache_policy', 'all');
\elif :policy = 2
SELECT turn('snapshot_enabled', 'false');
\else
SELECT count(*) FROM m3db.flush();
\endif
\sleep 1500 ms
SQL

# pgbench writes until it is told to stop, or the server crashes under it.
sub start_clients
{
	my @handles;
	my @jobs = ([ $write_script, $writers ], [ $cut_script, 1 ], [ $read_script, 1 ], [ $alter_script, 1 ]);
	for my $job (@jobs)
	{
		my ($script, $clients) = @$job;
		my ($in, $out) = ('', '');
		push @handles,
		  { out => \$out, harness => IPC::Run::start(
				[ 'pgbench', '-n', '-c', $clients, '-j', 1, '-T', $cycle_seconds, '-f', $script,
					'-h', $node->host, '-p', $node->port, 'postgres' ], '<', \$in, '>', \$out, '2>&1') };
	}
	return @handles;
}

sub finish_clients
{
	my ($crashed, @handles) = @_;
	for my $handle (@handles)
	{
		$handle->{harness}->finish;
		next if $crashed || ${ $handle->{out} } !~ /ERROR|FATAL|PANIC/;
		fail('the clients meet no error');
		diag(${ $handle->{out} });
	}
	return;
}

# Both tables of a pair hold the same.
sub same
{
	my ($ours, $plain, $what) = @_;
	my $question = q{SELECT host, count(*), min(ts), max(ts), sum(hashfloat8(v)::bigint), sum(hashint8(extract(epoch FROM ts)::bigint)::bigint) FROM %s GROUP BY host ORDER BY host};
	my $truth = "(SELECT DISTINCT ON (ts, host) ts, host, v FROM $plain ORDER BY ts, host, seq DESC) p";
	return is($node->safe_psql('postgres', sprintf($question, $ours)),
		$node->safe_psql('postgres', sprintf($question, $truth)), $what);
}

sub size_of
{
	my ($directory) = @_;
	my $size = 0;
	$size += -s $_ // 0 for glob "$directory/*";
	return $size;
}

my $end = time + $seconds;
my $cycle = 0;
my $largest_logs = 0;
while (time < $end)
{
	my @clients = start_clients();
	my $stop = time + 5 + rand($cycle_seconds - 10);
	my $crash = $cycle % 3;    # a backend, the postmaster, none
	$cycle++;
	while (time < $stop)
	{
		sleep 0.5;
		my $logs = size_of(commitlog_directory($node));
		$largest_logs = $logs if $logs > $largest_logs;
	}
	if ($crash == 0)
	{
		my ($victim) = grep { process_title($_) =~ /INSERT|BEGIN|COMMIT|idle in transaction/ }
		  children($node->{_pid});
		($victim) = grep { process_title($_) =~ /m3db worker/ } children($node->{_pid})
		  if !defined $victim || rand() < 0.3;
		kill 9, $victim;
		finish_clients(1, @clients);
		wait_until_up($node);
	}
	elsif ($crash == 1)
	{
		crash_postmaster($node, all => rand() < 0.5);
		finish_clients(1, @clients);
		start_again($node);
	}
	else
	{
		finish_clients(0, @clients);
	}
	same('m', 'w', "cycle $cycle: the tables agree") or last;
	same('m_cut', 'w_cut', "cycle $cycle: those that are truncated agree") or last;
}

my $loaded = $node->safe_psql('postgres', 'SELECT count(*) FROM w');
note("$loaded rows in $cycle cycles, logs at most $largest_logs bytes");
cmp_ok($loaded, '>', 1000, 'something was written');

# Everything goes to files, and what is not needed goes away.
$node->safe_psql('postgres', 'SELECT m3db.flush(); SELECT m3db.snapshot(); SELECT m3db.cleanup();') for 1 .. 2;
same('m', 'w', 'the tables agree after a flush');
is($node->safe_psql('postgres', 'SELECT sum(points) FROM m3db.namespaces'), '0', 'nothing is left in buffers');
cmp_ok(size_of(commitlog_directory($node)), '<', 8 << 20, 'logs are short');
cmp_ok($largest_logs, '<', 64 << 20, 'logs were bounded all the time');
is($node->safe_psql('postgres', q{SELECT count(*) FROM m3db.stat_jobs WHERE last_error IS NOT NULL}),
	'0', 'no job has failed');

$node->restart;
same('m', 'w', 'the tables agree after a restart');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|could not load m3db data/, 'nothing went wrong unseen');
done_testing();
