# What is exported is what a SELECT sees, and another server reads it as if it were its own; an
# export that is interrupted leaves nothing that could be mistaken for data.

use strict;
use warnings;
use File::Find ();
use FindBin;
use lib $FindBin::RealBin;
use M3dbTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $dir = PostgreSQL::Test::Utils::tempdir;
my $tables = <<'SQL';
CREATE FOREIGN TABLE wide (ts timestamptz NOT NULL, host text, a float8, b float8, c float8)
  SERVER m3 OPTIONS (namespace 'wide', block_size '2 hours');
CREATE FOREIGN TABLE exact (t bigint OPTIONS (role 'time_ns'), id text, tags jsonb, v float8, unit text,
  annotation bytea) SERVER m3 OPTIONS (namespace 'exact', block_size '1 day');
SQL
my $wide = 'SELECT count(*), md5(string_agg(w::text, chr(10) ORDER BY ts, host)) FROM wide w';
my $exact = q(SELECT count(*), md5(string_agg(concat_ws('|', t, id, tags, float8send(v), unit, annotation),
  chr(10) ORDER BY id, t)) FROM exact);

my $node = new_server('main');
$node->safe_psql('postgres', $tables);
$node->safe_psql('postgres', <<'SQL');
INSERT INTO wide
  SELECT timestamptz '2026-02-01 00:00+00' + i * interval '61 seconds', 'h' || i % 5,
         CASE WHEN i % 3 <> 0 THEN i END, i * 0.1, CASE WHEN i % 7 = 0 THEN -i END
    FROM generate_series(0, 1999) i;
INSERT INTO exact
  SELECT 1769904000000000000 + i::bigint * 1234567891, 'séries.' || i % 3,
         jsonb_build_object('k', (i % 3)::text, 'ünï', 'x'),
         CASE i % 5 WHEN 0 THEN 'NaN'::float8 WHEN 1 THEN '-0'::float8 WHEN 2 THEN 'Infinity'::float8
           WHEN 3 THEN '5e-324'::float8 ELSE 0.1 * i END, 'ns',
         CASE WHEN i % 4 = 0 THEN decode(lpad(to_hex(i), 8, '0'), 'hex') END
    FROM generate_series(0, 299) i;
SELECT m3db.flush();
-- over what is in files now, and beside it
INSERT INTO wide
  SELECT timestamptz '2026-02-01 00:00+00' + i * interval '61 seconds', 'h' || i % 5, -i
    FROM generate_series(1000, 2100, 3) i;
SQL

my $before = $node->safe_psql('postgres', "$wide; $exact");
like($node->safe_psql('postgres', "SELECT * FROM m3db.export('wide', '$dir/out')"),
	qr/^\d+\|15\|\d+\|\d+$/, 'an export of a wide table');
like($node->safe_psql('postgres', "SELECT * FROM m3db.export('exact', '$dir/out')"),
	qr/^\d+\|3\|300\|\d+$/, 'and of exact points, into the same directory');

# Another server finds them where its own files would be.
my $other = new_server('other');
$other->safe_psql('postgres', $tables);
# makes the namespaces known; both points go again
$other->safe_psql('postgres', <<'SQL');
INSERT INTO wide VALUES ('2026-01-01', 'x', 1);
INSERT INTO exact VALUES (1769904000000000000, 'x', '{}', 1, NULL, NULL);
TRUNCATE wide; TRUNCATE exact;
SELECT m3db.cleanup();
SQL
is($other->safe_psql('postgres', 'SELECT (SELECT count(*) FROM wide), (SELECT count(*) FROM exact)'),
	'0|0', 'a server without points');
(my $root = commitlog_directory($other)) =~ s{/commitlogs$}{};
$other->stop;
mkdir "$root/data";
for my $namespace ('wide', 'exact')
{
	copy_tree("$dir/out/data/$namespace", "$root/data/$namespace");
}
$other->start;
is($other->safe_psql('postgres', "$wide; $exact"), $before, 'which has the same points with these files');
is($other->safe_psql('postgres', 'SELECT count(*) FROM m3db.orphans'), '0', 'and nothing is left over');

# m3dump, if the tools were built
my ($m3dump) = grep { -x } ($ENV{M3DUMP} // (), glob("$FindBin::RealBin/../build/*/m3dump"));
SKIP:
{
	skip 'no m3dump; make tools, or set M3DUMP', 1 unless $m3dump;
	my $report = `$m3dump verify --shards 16 '$dir/out' 2>&1`;
	is($?, 0, 'm3dump finds nothing wrong') or diag($report);
}

# Interrupts: what is left is whole or nothing.

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE many (ts timestamptz NOT NULL, host text, v float8)
  SERVER m3 OPTIONS (namespace 'many', block_size '3 hours');
INSERT INTO many
  SELECT timestamptz '2026-02-01 00:00+00' + i * interval '10 minutes', 'h' || h, i
    FROM generate_series(0, 299) i, generate_series(0, 99) h;
SQL

# Files of filesets without a checkpoint, and how many have one.
sub census
{
	my ($top) = @_;
	my (%complete, %files);
	return (0, 0) unless -d $top;
	File::Find::find(sub {
		return unless /^fileset-(\d+)-0-(\w+)\.db/;
		my $name = "$File::Find::dir/$1";
		$files{$name}++;
		$complete{$name} = 1 if $2 eq 'checkpoint' && -s $_ == 4;
	}, $top);
	return (scalar(grep { !$complete{$_} } keys %files), scalar(keys %complete));
}

my $all = $node->safe_psql('postgres', "SELECT filesets FROM m3db.export('many', '$dir/many')");
is((census("$dir/many"))[1], $all, 'all filesets are counted');

my $cancelled = 0;
for my $timeout (1, 10, 40, 100, 200)
{
	my ($status, $message) = sqlstate_of($node,
		"SET statement_timeout = $timeout; SELECT * FROM m3db.export('many', '$dir/t$timeout')");
	my ($unfinished, $complete) = census("$dir/t$timeout");
	$cancelled++ if $status eq '57014';
	ok($status eq '00000' || $status eq '57014', "an export within $timeout ms")
	  or diag($message);
	is($unfinished, 0, 'leaves no unfinished filesets');
	is($complete, $all, 'and is whole if it was done') if $status eq '00000';
}
cmp_ok($cancelled, '>', 0, 'some were cancelled');

# A session that was cancelled goes on, and has let go of all files.
my $open = '';
$node->psql('postgres', <<SQL, stdout => \$open, on_error_stop => 0);
SET statement_timeout = 40;
SELECT * FROM m3db.export('many', '$dir/cancelled');
RESET statement_timeout;
CREATE TEMP TABLE open_file (line text);
DO \$\$
BEGIN
  EXECUTE format('COPY open_file FROM PROGRAM %L', 'ls -l /proc/' || pg_backend_pid() || '/fd');
END
\$\$;
SELECT count(*) > 3, count(*) FILTER (WHERE line LIKE '%$dir%') FROM open_file;
SQL
is($open, 't|0', 'a cancelled export keeps no file open');

# A session that is ended: what it was at is not complete, and is replaced.
my $in = "SELECT * FROM m3db.export('many', '$dir/ended');\n";
my ($out, $errors) = ('', '');
my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, '2>', \$errors);
for (1 .. 1000)
{
	$session->pump_nb;
	last if (census("$dir/ended"))[1] > 3;
	sleep 0.01;
}
$node->safe_psql('postgres', <<'SQL');
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
 WHERE query LIKE '%m3db.export%ended%' AND pid <> pg_backend_pid();
SQL
eval { $session->finish };
my ($unfinished, $complete) = census("$dir/ended");
cmp_ok($complete, '<', $all, 'a session that was ended in the middle');
cmp_ok($unfinished, '<=', 1, 'leaves at most one unfinished fileset');
my ($status, $message) =
  sqlstate_of($node, "SELECT * FROM m3db.export('many', '$dir/ended')");
isnt($status, '00000', 'another export does not go over the complete ones');
$node->safe_psql('postgres', "SELECT * FROM m3db.export('many', '$dir/ended', namespace => 'again')");
is((census("$dir/ended/data/again"))[1], $all, 'but beside them');

$node->stop;
$other->stop;
done_testing();
