# Directories that an M3DB wrote, mounted: what it reads from them, and nothing is changed there; what
# is damaged is named and left out. And a directory that its server goes on writing to.

use strict;
use warnings;
use Cwd qw(realpath);
use Digest::MD5;
use File::Find ();
use FindBin;
use lib $FindBin::RealBin;
use M3dbTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $golden = realpath("$FindBin::RealBin/../test/data/m3db");
my $node = new_server('main', init => { allows_streaming => 1 });

# Every file and directory below, with contents and time of modification.
sub fingerprint
{
	my ($directory) = @_;
	my $all = Digest::MD5->new;
	my @names;
	File::Find::find({ no_chdir => 1, wanted => sub { push @names, $_ } }, $directory);
	for my $name (sort @names)
	{
		my @stat = stat($name);
		$all->add("$name $stat[2] $stat[9] ");
		$all->add(-f $name ? Digest::MD5::md5(slurp_file($name)) : 'directory');
	}
	return $all->hexdigest;
}

sub quote { my ($text) = @_; $text =~ s/'/''/g; return "'$text'"; }

# A script that mounts a directory, and puts all that is there into table got.
sub mount_script
{
	my ($directory) = @_;
	return <<SQL;
SET client_min_messages = error;
DROP SCHEMA IF EXISTS legacy CASCADE;
DROP SERVER IF EXISTS old CASCADE;
CREATE SERVER old FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory @{[quote($directory)]});
CREATE SCHEMA legacy;
RESET client_min_messages;
IMPORT FOREIGN SCHEMA m3db FROM SERVER old INTO legacy
  OPTIONS (id 'true', tags 'true', max_tags '0', time 'ns', annotations 'true', units 'true');
CREATE TEMP TABLE got (ns text, id text, tags jsonb, t bigint, bits text, unit text, annotation text);
DO \$\$
DECLARE r record;
BEGIN
  FOR r IN SELECT relname FROM pg_class WHERE relnamespace = 'legacy'::regnamespace LOOP
    EXECUTE format('INSERT INTO got SELECT %L, id, tags, t, encode(float8send(value), ''hex''), unit, '
      'translate(encode(annotation, ''base64''), E''\\n'', '''') FROM legacy.%I', r.relname, r.relname);
  END LOOP;
END \$\$;
SQL
}

# Tables of the csv files beside a directory.
sub load_script
{
	my ($table, $file) = @_;
	return <<SQL;
CREATE TEMP TABLE $table (ns text, id text, tags jsonb, t bigint, value text, bits text, unit text, annotation text);
COPY $table FROM @{[quote($file)]} (FORMAT csv, HEADER);
SQL
}

sub run_script
{
	my ($script) = @_;
	my ($out, $err) = ('', '');
	my $status = $node->psql('postgres', $script, stdout => \$out, stderr => \$err, on_error_stop => 1);
	is($status, 0, 'the script runs') or diag($err);
	return ($out, $err);
}

# ---- sound directories ----

# M3 itself returns an older value at times; the last one written counts.
my %mend = (
	mixed => <<SQL,
CREATE TEMP TABLE older (ns text, id text, t bigint, value text, last text, writes int);
COPY older FROM @{[quote("$golden/mixed/older_value_wins.csv")]} (FORMAT csv, HEADER);
UPDATE expected e SET bits = encode(float8send(o.last::float8), 'hex') FROM older o
 WHERE (o.ns, o.id, o.t) = (e.ns, e.id, e.t);
SQL
	# M3's decoder reports an annotation when it changes only; we know it of each point that a log has
	commitlog => <<SQL,
CREATE TEMP TABLE entries (log int, entry int, series int, shard int, ns text, id text, tags jsonb, t bigint,
  value text, bits text, unit text, annotation text);
COPY entries FROM @{[quote("$golden/commitlog/entries.csv")]} (FORMAT csv, HEADER);
UPDATE expected e SET annotation = l.annotation
  FROM (SELECT DISTINCT ON (ns, id, t) * FROM entries ORDER BY ns, id, t, log DESC, entry DESC) l
 WHERE (l.ns, l.id, l.t) = (e.ns, e.id, e.t);
SQL
);

for my $name (qw(warm cold commitlog mixed prom damaged/intact))
{
	my $directory = "$golden/$name";
	my $before = fingerprint($directory);
	my ($out, $err) = run_script(mount_script($directory)
		  . load_script('expected', "$directory/expected.csv")
		  . ($mend{$name} // '')
		  . <<'SQL');
SELECT count(*) > 500 FROM got;
SELECT count(*) FROM (SELECT ns, id, tags, t, bits FROM expected
  EXCEPT ALL SELECT ns, id, tags, t, bits FROM got) x;
SELECT count(*) FROM (SELECT ns, id, tags, t, bits FROM got
  EXCEPT ALL SELECT ns, id, tags, t, bits FROM expected) x;
-- the order of these is by precision
SELECT count(*) FROM expected e JOIN got g USING (ns, id, t)
 WHERE position(g.unit in 's ms us ns') < position(e.unit in 's ms us ns');
SELECT count(*) FROM got g WHERE annotation IS NOT NULL AND NOT EXISTS
  (SELECT FROM expected e WHERE (e.ns, e.id, e.annotation) = (g.ns, g.id, g.annotation));
SELECT count(*) FROM expected e JOIN got g USING (ns, id, t) WHERE g.unit <> e.unit;
SELECT count(*) FROM expected e JOIN got g USING (ns, id, t)
 WHERE g.annotation IS DISTINCT FROM e.annotation;
SQL
	my @counts = split /\n/, $out;
	is("@counts[0 .. 4]", 't 0 0 0 0', "$name: points are those M3 returns");
	# in logs, units differ from point to point; one stream of the points has the finest
	is($counts[5], 0, "$name: in the same units") if $name ne 'commitlog';
	# and M3 gives an annotation to other points where it merges several streams
	is($counts[6], 0, "$name: with the same annotations") if $name !~ /mixed|intact/;
	is($err, '', "$name: and nothing is reported");
	is(fingerprint($directory), $before, "$name: the directory is as it was");
}

# ---- damaged ones ----

my %damage = (
	log_torn_tail => 'commitlog-0-5.db',
	log_torn_header => 'commitlog-0-5.db',
	log_mid_flip => 'commitlog-0-4.db',
	log_mid_size_flip => 'commitlog-0-4.db',
	log_header_flip => 'commitlog-0-4.db',
	flush_bad_digest => 'fileset-1709942400000000000-0-digest.db',
	flush_info_flip => 'fileset-1709942400000000000-0-info.db',
	flush_data_flip => 'fileset-1709942400000000000-0-data.db',
	flush_data_trunc => 'fileset-1709942400000000000-0-data.db',
	flush_index_trunc => 'fileset-1709942400000000000-0-index.db',
	flush_index_flip => 'fileset-1709942400000000000-0-index.db',
	flush_bloom_missing => 'fileset-1709942400000000000-0-bloomfilter.db',
	flush_summaries_flip => 'fileset-1709942400000000000-0-summaries.db',
	snap_data_flip => 'fileset-1709949600000000000-3-data.db',
	snap_info_flip => 'fileset-1709949600000000000-3-info.db',
	snap_data_missing => 'fileset-1709949600000000000-3-data.db',
	snap_no_checkpoint => 'the newest snapshot is not whole',
	# what a crash leaves is no damage
	log_zero_tail => '',
	flush_no_checkpoint => '',
	snap_no_metadata => '');

for my $name (sort keys %damage)
{
	my $directory = "$golden/damaged/$name";
	my $before = fingerprint($directory);
	my ($out, $err) = run_script(mount_script($directory)
		  . load_script('intact', "$golden/damaged/intact/expected.csv")
		  . load_script('m3', "$directory/expected.csv")
		  . <<'SQL');
SELECT count(*) >= 400 FROM got;
SELECT count(*) FROM (SELECT ns, id, tags, t, bits, unit FROM got
  EXCEPT ALL SELECT ns, id, tags, t, bits, unit FROM intact) x;
SELECT count(*) FROM (SELECT ns, id, tags, t, bits, unit FROM m3
  EXCEPT ALL SELECT ns, id, tags, t, bits, unit FROM got) x;
SQL
	is($out, "t\n0\n0",
		"$name: nothing that was not written, and nothing is lost that M3 returns");
	if ($damage{$name} eq '')
	{
		is($err, '', "$name: nothing is reported");
	}
	else
	{
		my @warnings = $err =~ /WARNING:  (M3DB directory "\Q$directory\E": [^\n]*)/g;
		my @naming = grep { /\Q$damage{$name}\E/ && /not|no readable|fails|corrupt|torn|missing|beyond/ } @warnings;
		is(scalar @naming, 1, "$name: a warning names file and reason") or diag($err);
		unlike($err, qr/ERROR/, "$name: and there is no error");
	}
	is(fingerprint($directory), $before, "$name: the directory is as it was");
}

# What a scan meets is said by each scan, what loading meets once in a session.
{
	my ($out, $err) = run_script(mount_script("$golden/damaged/log_mid_flip") . "SELECT count(*) FROM legacy.dmg;\n" x 3);
	is(scalar(() = $err =~ /WARNING/g), 1, 'damage found when loading is reported once');
	($out, $err) = run_script(mount_script("$golden/damaged/flush_bloom_missing") . "SELECT count(*) FROM legacy.dmg;\n" x 3);
	is(scalar(() = $err =~ /WARNING/g), 4, 'damage found when reading is reported once a scan');
	is($out, "419\n419\n419", 'and the rest is read');
}

# ---- moving data in ----

{
	my ($out, $err) = run_script(<<SQL);
SET client_min_messages = error;
DROP SCHEMA legacy CASCADE;
DROP SERVER old CASCADE;
CREATE SERVER old FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory @{[quote("$golden/commitlog")]});
CREATE SCHEMA legacy;
IMPORT FOREIGN SCHEMA m3db FROM SERVER old INTO legacy
  OPTIONS (id 'true', time 'ns', annotations 'true', units 'true');
CREATE SCHEMA now;
IMPORT FOREIGN SCHEMA m3db LIMIT TO (log_raw) FROM SERVER old INTO now
  OPTIONS (id 'true', time 'ns', annotations 'true', units 'true');
SET search_path = now;
CREATE FOREIGN TABLE raw (t bigint OPTIONS (role 'time_ns') NOT NULL, id text, host text, kind text, n text,
  value float8, annotation bytea, unit text) SERVER m3 OPTIONS (namespace 'raw', block_size '2 hours');
INSERT INTO raw (t, id, host, kind, n, value, annotation, unit)
  SELECT t, id, host, kind, n, value, annotation, unit FROM legacy.log_raw;
SELECT m3db.flush('raw') IS NOT NULL;
SELECT count(*) > 1000, count(annotation) > 10, count(DISTINCT t % 1000) > 10 FROM raw;
SELECT count(*) FROM (SELECT t, id, host, kind, n, float8send(value), annotation FROM raw
  EXCEPT ALL SELECT t, id, host, kind, n, float8send(value), annotation FROM legacy.log_raw) x;
SELECT count(*) FROM (SELECT t, id, host, kind, n, float8send(value), annotation FROM legacy.log_raw
  EXCEPT ALL SELECT t, id, host, kind, n, float8send(value), annotation FROM raw) x;
SELECT count(*) FROM legacy.log_raw l JOIN raw r USING (id, t)
 WHERE position(r.unit in 's ms us ns') < position(l.unit in 's ms us ns');
SQL
	is($out, "t\nt|t|t\n0\n0\n0", 'INSERT ... SELECT moves times, values, annotations and units');
}

# ---- cancelled while it loads ----

for my $ms (1 .. 6)
{
	my ($out, $err) = ('', '');
	$node->psql('postgres', <<SQL, stdout => \$out, stderr => \$err, on_error_stop => 0);
ALTER SERVER old OPTIONS (SET data_directory @{[quote("$golden/warm")]});
CREATE FOREIGN TABLE legacy.warm$ms (ts timestamptz, host text, value float8) SERVER old OPTIONS (namespace 'metrics');
SET statement_timeout = '${ms}ms';
SELECT count(*) FROM legacy.warm$ms;
RESET statement_timeout;
SELECT count(*) FROM legacy.warm$ms;
SQL
	like($out, qr/(^|\n)16877$/, "a load that is cut off after $ms ms does no harm");
}

# ---- while another server writes ----

my $live = new_server('live', conf => <<CONF);
m3db.tick_interval = 1s
m3db.cold_flush_interval = 0
m3db.snapshot_interval = 1s
m3db.snapshot_min_log_size = 0
m3db.commitlog_max_size = 64kB
CONF
my $rows = 200;
$live->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE points (ts timestamptz NOT NULL, host text, value float8)
  SERVER m3 OPTIONS (namespace 'points', block_size '1 hour');
CREATE PROCEDURE write(first int, count int) LANGUAGE plpgsql AS \$\$
BEGIN
  FOR batch IN first .. first + count - 1 LOOP
    INSERT INTO points SELECT timestamptz '2026-01-01 00:00+00' + batch * interval '3 min' + i * interval '1 ms', 'h' || i % 7, batch
      FROM generate_series(1, $rows) i;
    COMMIT;
  END LOOP;
END \$\$;
CALL write(0, 1);
SQL
my $root = realpath(commitlog_directory($live));
$root =~ s,/commitlogs$,,;
$node->safe_psql('postgres', <<SQL);
CREATE SERVER live FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory @{[quote($root)]}, memory '64MB');
CREATE SCHEMA live;
IMPORT FOREIGN SCHEMA m3db FROM SERVER live INTO live;
SQL

# A batch is there with all of its rows, or not at all; each row once.
my $question = <<SQL;
SELECT coalesce(sum((n <> $rows)::int), 0), coalesce(sum((n <> d)::int), 0), count(*), coalesce(max(value), -1)
  FROM (SELECT value, count(*) AS n, count(DISTINCT (host, ts)) AS d FROM live.points GROUP BY value) b;
SQL
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $written = 1;
my $deadline = time + 12;
my $looks = 0;
my @faults;
while (time < $deadline)
{
	my $writer = IPC::Run::start([ 'psql', '-X', '-q', '-d', $live->connstr('postgres'), '-c', "CALL write($written, 10)" ]);
	for my $job ('flush()', 'snapshot()', 'cleanup()')
	{
		for my $fresh (1, 0)
		{
			my ($out, $err) = ('', '');
			if ($fresh)
			{
				$node->psql('postgres', $question, stdout => \$out, stderr => \$err);
			}
			else
			{
				$out = $session->query($question);
			}
			my @answer = split /\|/, $out;
			# those acknowledged before are there; a session may be a second behind
			push @faults, "$job fresh=$fresh: $out $err (written $written)"
			  if $err ne '' || @answer != 4 || $answer[0] || $answer[1] || $answer[2] != $answer[3] + 1
			  || ($fresh && $answer[2] < $written);
			$looks++;
		}
		$live->safe_psql('postgres', "SELECT m3db.$job");
	}
	$writer->finish;
	$written += 10;
}
is("@faults", '', "$looks looks at a directory that is written to, flushed and cleaned up");
sleep 1.1;
is($session->query("SELECT count(*) FROM live.points"), $written * $rows, 'a session catches up');
is($session->{stderr}, '', 'without a warning') if exists $session->{stderr};

# A statement sees one state of the directory, a cursor its own to the end.
$session->query("BEGIN; DECLARE c CURSOR FOR SELECT count(*) OVER () FROM live.points; FETCH 1 FROM c;");
$live->safe_psql('postgres', "CALL write($written, 5); SELECT m3db.flush(); SELECT m3db.cleanup()");
sleep 1.1;
is($session->query("FETCH 1 FROM c;"), $written * $rows, 'a cursor goes on with what it began with');
is($session->query("SELECT count(*) FROM live.points"), $written * $rows, 'and keeps the mount as it is');
$session->query("COMMIT");
$written += 5;
is($session->query("SELECT count(*) FROM live.points"), $written * $rows, 'until it is closed');
$live->safe_psql('postgres', 'TRUNCATE points; CALL write(0, 1)');
sleep 1.1;
is($session->query('SELECT count(*) FROM live.points'), $rows, 'TRUNCATE over there is seen');
$session->quit;
$live->stop;
is($node->safe_psql('postgres', 'SELECT count(*) FROM live.points'), $rows, 'a stopped server can be read as well');

# ---- on a standby, and without preloading ----

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', 'SELECT count(*) FROM live.points'), $rows, 'a mount can be read on a standby');
$standby->stop;

$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', q(''));
$node->adjust_conf('postgresql.conf', 'm3db.buffer_size', undef);
$node->restart;
is($node->safe_psql('postgres', 'SELECT count(*) FROM live.points'), $rows, 'a mount needs no preloading');
like((sqlstate_of($node, 'SELECT * FROM now.raw'))[1], qr/shared_preload_libraries/, 'the embedded engine does');
unlike(slurp_file($_->logfile), qr/PANIC|TRAP|terminated by signal/, 'no crash of our own') for $node, $live;
$node->stop;

done_testing();
