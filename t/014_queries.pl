# Random questions (M3dbQuestions.pm) to tables of ours and to plain ones with the same rows, under
# changing settings: every switch of ours on and off, PostgreSQL's too, parallel plans, parameters,
# cursors, time zones; also with points of an open transaction, and from files alone. The answers are
# the same: to the letter, but for sums and what is made of them, which may differ by 1e-9 of
# the value (1e-7 at least: terms of either sign cancel out), as the order of additions is open.
#
#   M3DB_QUERY_SECONDS  how long to ask, 60 unless given
#   M3DB_SEED           another run
#   M3DB_QUERY          the number of a question, to ask only that one

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use M3dbQueryTables;
use M3dbQuestions;
use M3dbTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{M3DB_QUERY_SECONDS} // 60;
my $only = $ENV{M3DB_QUERY};
my $seed = seed(14);
my $most_failures = $ENV{M3DB_QUERY_FAILURES} // 5;

# What is in buffers stays there until it is flushed here.
my $node = new_server('main', init => { extra => [ '--encoding=UTF8', '--locale=C' ] }, conf => <<'CONF');
m3db.tick_interval = 3600
m3db.cold_flush_interval = 86400
max_parallel_workers = 8
statement_timeout = 100s
max_worker_processes = 16
jit = off
CONF

my $icu = $node->safe_psql('postgres', q(SELECT count(*) FROM pg_collation WHERE collname = 'en-x-icu'));
my @names = query_tables();
$node->safe_psql('postgres', create_query_tables($icu ? 'COLLATE "en-x-icu"' : ''));
$node->safe_psql('postgres', write_query_tables());

# A session of psql that says what it is told, without the noise of background_psql.
sub connect_session
{
	my %session = (in => '', out => '', err => '', count => 0);
	local $ENV{PGOPTIONS} = '-c client_min_messages=error';
	$session{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-F', "\t", '-P', 'null=~', '-d', $node->connstr('postgres') ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err}, IPC::Run::timeout(300));
	return \%session;
}

# Rows and message of an error. Dies when the session has died, or answers for minutes.
sub run_sql
{
	my ($session, $sql) = @_;
	my $end = 'end of ' . ++$session->{count};
	$session->{in} .= "$sql\n;\n\\echo '$end'\n\\warn '$end'\n";
	my $ended = sub { return substr($_[0], -20) =~ /^$end\n\z/m };
	$session->{run}->pump() until $ended->($session->{out}) && $ended->($session->{err});
	my ($rows, $error) = @{$session}{qw(out err)};
	@{$session}{qw(out err)} = ('', '');
	s/^$end\n\z//m for $rows, $error;
	return ($rows, $error);
}

sub quit_session
{
	my ($session) = @_;
	$session->{in} .= "\\q\n";
	return eval { $session->{run}->finish };
}

# Switches: ours by what there is, so that a new one is covered at once.
my @switches = split /\n/, $node->safe_psql('postgres',
	q(SELECT name FROM pg_settings WHERE name LIKE 'm3db.enable\_%' AND vartype = 'bool' ORDER BY 1));
diag('switches: ' . join(' ', @switches));
my @core = qw(enable_sort enable_hashagg enable_seqscan enable_nestloop enable_hashjoin enable_mergejoin enable_incremental_sort
  enable_memoize enable_material enable_gathermerge enable_partitionwise_join parallel_leader_participation enable_parallel_append);
my $force_parallel = $node->safe_psql('postgres',
	q(SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')));

sub set { my ($name, $value) = @_; return "SET $name = $value; "; }

sub set_switches
{
	my ($mask) = @_;
	return join('', map { set($switches[$_], $mask >> $_ & 1 ? 'on' : 'off') } 0 .. $#switches);
}

my $all = (1 << @switches) - 1;

# Combinations in an order of their own, so that a run goes through all of them.
sub combination
{
	my ($number) = @_;
	return $number * 5 + $seed & $all;    # 5 is odd: all of them, once each
}

sub set_parallel
{
	my ($how) = @_;
	return set('max_parallel_workers_per_gather', 0) if $how eq 'off';
	my $free = join('', map { set($_, 0) } qw(parallel_tuple_cost min_parallel_table_scan_size min_parallel_index_scan_size));
	# not free: a nested loop would start workers for each of its rows
	$free .= set('parallel_setup_cost', 10);
	return $free . set('max_parallel_workers_per_gather', $how eq 'three' ? 3 : 2);
}

# How one question is asked: settings, and as what.
sub some_settings
{
	my ($mask) = @_;
	my $sql = 'RESET ALL; ' . set_switches($mask);
	$sql .= set_parallel((qw(off off free free three))[ rand 5 ]);
	$sql .= set($_, 'off') for grep { rand() < 0.12 } @core;
	$sql .= set('enable_partitionwise_aggregate', 'on') if rand() < 0.5;
	$sql .= set('enable_partitionwise_join', 'on') if rand() < 0.3;
	$sql .= set($force_parallel, 'on') if rand() < 0.1;
	$sql .= set('work_mem', "'64kB'") if rand() < 0.1;
	$sql .= set('cursor_tuple_fraction', 1) if rand() < 0.2;
	return $sql;
}

sub with_prefix { my ($sql, $prefix) = @_; return $sql =~ s/\{(\w+)\}/$prefix$1/gr; }

# The statements that ask, given the question's tables.
sub asking
{
	my ($question, $how, $prefix) = @_;
	my $sql = with_prefix($question->{sql}, $prefix);
	my @constants = @{ $question->{constants} };
	if (@constants)
	{
		my $types = join(', ', map { $_->[0] } @constants);
		my $values = join(', ', map { "$_->[0] $_->[1]" } @constants);
		$sql =~ s/<(\d+)>/\$$1/g;
		my $twice = $how eq 'twice' ? "EXECUTE q ($values) \\g /dev/null\n" : '';
		return "PREPARE q ($types) AS $sql; $twice EXECUTE q ($values); DEALLOCATE q;";
	}
	return "DECLARE c NO SCROLL CURSOR WITH HOLD FOR $sql; FETCH 7 FROM c; FETCH ALL FROM c; CLOSE c" if $how eq 'held';
	return "BEGIN; DECLARE c CURSOR FOR $sql; FETCH 3 FROM c; FETCH 40 FROM c; FETCH ALL FROM c; COMMIT" if $how eq 'cursor';
	return "SAVEPOINT c; DECLARE c CURSOR FOR $sql; FETCH 3 FROM c; FETCH ALL FROM c; CLOSE c; RELEASE c" if $how eq 'savepoint';
	return $sql;
}

# Comparison

sub same_number
{
	my ($one, $two, $kind) = @_;
	return 1 if $one eq $two;
	my $number = qr/^-?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i;
	return 0 unless $one =~ $number && $two =~ $number;
	($one, $two) = ($one * $one, $two * $two) if $kind eq '^';
	my $size = abs($one) > abs($two) ? abs($one) : abs($two);
	return abs($one - $two) <= 1e-9 * $size + 1e-7;
}

sub sort_rows
{
	my ($kinds, @rows) = @_;
	my @exact = grep { $kinds->[$_] =~ /[=0]/ } 0 .. $#$kinds;
	my @sums = grep { $kinds->[$_] =~ /[~^]/ } 0 .. $#$kinds;
	no warnings 'numeric';
	my @keyed = map { my $row = $_; [ join("\t", @{$row}[@exact]), $row ] } @rows;
	return map { $_->[1] } sort {
		my $order = $a->[0] cmp $b->[0];
		for my $column (@sums)
		{
			last if $order;
			$order = $a->[1][$column] <=> $b->[1][$column] || $a->[1][$column] cmp $b->[1][$column];
		}
		$order
	} @keyed;
}

sub rows_of
{
	my ($answer, $kinds) = @_;
	chomp $answer;
	my @rows = map { [ $_ eq '' ? '' : split /\t/, $_, -1 ] } split /\n/, $answer, -1;
	for my $column (grep { $kinds->[$_] eq '0' } 0 .. $#$kinds)
	{
		$_->[$column] =~ s/^-(0(?:\.0+)?)$/$1/ for @rows;
	}
	return @rows;
}

# Nothing if the answers agree, or what differs first.
sub difference
{
	my ($question, $ours, $plain) = @_;
	return '' if $ours eq $plain;
	my $kinds = $question->{kinds};
	return ''
	  if !$question->{ordered} && join("\n", sort split /\n/, $ours) eq join("\n", sort split /\n/, $plain);
	my @answers = map { [ rows_of($_, $kinds) ] } $ours, $plain;
	return sprintf('%d rows, not %d', map { scalar @$_ } @answers) if @{ $answers[0] } != @{ $answers[1] };
	@answers = map { [ sort_rows($kinds, @$_) ] } @answers unless $question->{ordered};
	for my $row (0 .. $#{ $answers[0] })
	{
		my ($one, $two) = map { $_->[$row] } @answers;
		for my $column (0 .. $#$kinds)
		{
			my ($here, $there) = ($one->[$column], $two->[$column]);
			my $kind = $kinds->[$column];
			next if $here eq $there || $kind =~ /[~^]/ && same_number($here, $there, $kind);
			return sprintf('row %d, column %d: %s, not %s', $row + 1, $column + 1, $here, $there);
		}
	}
	return '';
}

sub beginning
{
	my ($text, $lines) = @_;
	my @lines = split /\n/, $text // '';
	return join("\n", splice(@lines, 0, $lines));
}

# What is needed to look into a difference.
sub report
{
	my ($session, %case) = @_;
	my ($plan) = $case{alive} ? eval { run_sql($session, $case{settings} . explained($case{question})) } : ();
	diag(join("\n",
		"question $case{number} $case{when}, asked as $case{how}: $case{what}",
		"again: M3DB_SEED=$seed M3DB_QUERY=$case{number}",
		$case{settings} =~ s/; /;\n/gr, "$case{asked};",
		'the plain one:', $case{plain_asked},
		'ours:', beginning($case{ours}, 12), 'plain:', beginning($case{plain}, 12), 'plan:', $plan // ''));
	return;
}

sub explained
{
	my ($question) = @_;
	my $sql = with_prefix($question->{sql}, 'm_');
	$sql =~ s/<(\d+)>/$question->{constants}[$1 - 1][0] $question->{constants}[$1 - 1][1]/g;
	return "EXPLAIN (COSTS OFF) $sql";
}

my ($asked, $compared, $refused, $failures, $sampled) = (0) x 5;
my %used;       # combinations of switches
my %matters;    # in how many samples a switch made a difference

# One question, plainly once and of ours under several settings; false to go no further.
sub ask
{
	my ($session, $number, $when, @hows) = @_;
	srand($seed * 1000003 + $number);
	my $question = random_question(parameters => rand() < 0.3);
	my $zone = set('timezone', (qw('UTC' 'UTC' 'Europe/Berlin' 'America/St_Johns'))[ rand 4 ]);
	my $plain_asked = asking($question, 'plain', 'p_');
	my ($plain, $plain_error) = run_sql($session,
		'RESET ALL; ' . set_parallel('off') . $zone . $plain_asked);
	$asked++;
	for my $mask ($all, 0, map { combination(3 * $number + $_) } 0 .. 2)
	{
		my ($how, $settings) = ((qw(once twice))[ rand 2 ], some_settings($mask) . $zone);
		if (@{ $question->{constants} })
		{
			my @modes = qw(auto force_generic_plan force_generic_plan force_custom_plan);
			$settings .= set('plan_cache_mode', $modes[ rand @modes ]);
		}
		else
		{
			$how = rand() < 0.8 ? 'select' : $hows[ rand @hows ];
		}
		my %case = (
			number => $number, when => $when, question => $question, how => $how, settings => $settings,
			asked => asking($question, $how, 'm_'), plain_asked => $plain_asked,
			plain => $plain . $plain_error, alive => 1);
		my ($ours, $error) = eval { run_sql($session, $settings . $case{asked}) };
		my $died = $@;
		$used{$mask} = 1;
		$compared++;
		if ($died)
		{
			report($session, %case, what => "the session died: $died $session->{err}", alive => 0);
			$failures++;
			return 0;
		}
		if ($plain_error || $error)
		{
			# the same error is an answer, too
			my @messages = map { /ERROR:\s+(.*)/ ? $1 : '' } $error, $plain_error;
			$refused++;
			return 0 if $messages[0] eq $messages[1];
			report($session, %case, what => "error: $error", alive => $when !~ /transaction/);
			$failures++;
			return 0;
		}
		my $difference = difference($question, $ours, $plain) or next;
		report($session, %case, what => $difference, ours => $ours);
		$failures++;
		return 1;
	}
	sample_plan($session, $question, '') if $number % 7 == 0;
	return 1;
}

# Which of our switches make a difference to the question's plan.
sub sample_plan
{
	my ($session, $question, $mode) = @_;
	my $explained = explained($question) =~ s/COSTS OFF/COSTS OFF$mode/r;
	my $before = 'RESET ALL; ' . set_parallel($mode ? 'off' : (qw(off free))[ rand 2 ]);
	my ($plan, $again, @without) = map { (run_sql($session, $before . set_switches($_) . $explained))[0] }
	  $all, $all, map { $all ^ 1 << $_ } 0 .. $#switches;
	$sampled++;
	return if $plan ne $again;
	$matters{ $switches[$_] } += $without[$_] ne $plan for 0 .. $#switches;
	return;
}

# Some show what they are good for only when they run.
sub run_samples
{
	my $session = connect_session();
	for my $sql (
		q(SELECT * FROM {narrow} WHERE host = 'h1' AND region = 'eu'),
		'SELECT count(*), sum(value) FROM {solo}',
		'SELECT host, max(value) FROM {narrow} GROUP BY host',
		'SELECT min(ts), max(ts), avg(value), count(*) FROM {narrow}',
		'SELECT ts FROM {narrow} ORDER BY ts DESC LIMIT 5',
		'SELECT DISTINCT host FROM {narrow}')
	{
		my $question = { sql => $sql, constants => [] };
		run_sql($session, explained($question) =~ s/COSTS OFF/ANALYZE/r) for 1, 2;
		sample_plan($session, $question, ', ANALYZE, TIMING OFF, SUMMARY OFF');
	}
	quit_session($session);
	return;
}

# Questions for a while, in sessions that begin and end with the given SQL.
my $next_question = 1;

sub ask_for
{
	my ($when, $share, $begin, $end, @hows) = @_;
	my $deadline = time + $share * $seconds;
	my ($before, $failed_before, $session) = ($asked, $failures);
	while (time < $deadline && $failures - $failed_before < $most_failures)
	{
		if (!$session)
		{
			$session = connect_session();
			my (undef, $error) = run_sql($session, $begin);
			is($error, '', "$when: a session begins") if $error ne '';
		}
		if (!ask($session, $only // $next_question++, $when, @hows))
		{
			# nothing is certain after an error
			quit_session($session);
			undef $session;
			wait_until_up($node) or last;
		}
		last if $only;
	}
	if ($session)
	{
		run_sql($session, $end);
		quit_session($session);
	}
	is($failures - $failed_before, 0, "$when: the same answers to " . ($asked - $before) . ' questions');
	return;
}

# All rows, bit for bit.
sub compare_all
{
	my ($when) = @_;
	for my $name (@names)
	{
		my $list = join(', ', key_of($name), map { "float8send($_)" } values_of($name));
		my ($ours, $plain) = map { "SELECT $list FROM $_$name" } 'm_', 'p_';
		my $difference = "(($ours) EXCEPT ALL ($plain)) UNION ALL (($plain) EXCEPT ALL ($ours)) LIMIT 5";
		is($node->safe_psql('postgres', $difference),
			'', "$when: all rows of $name");
	}
	return;
}

compare_all('partly flushed');
ask_for('partly flushed', 0.25, 'SELECT 1', 'SELECT 1', qw(held cursor));

my $pending = write_pending();
ask_for('in a transaction that wrote', 0.2, "BEGIN; $pending", 'ROLLBACK', 'savepoint');
ask_for('in a transaction with a snapshot', 0.05, "BEGIN ISOLATION LEVEL REPEATABLE READ; $pending",
	'ROLLBACK', 'savepoint');

# what blocks hold is known from their flush, then from their files
$node->safe_psql('postgres', 'SELECT m3db.flush()');
ask_for('flushed', 0.3, 'SELECT 1', 'SELECT 1', qw(held cursor));
run_samples();
$node->restart;
compare_all('from files');
ask_for('from files', 0.2, 'SELECT 1', 'SELECT 1', qw(held cursor));
run_samples();

diag("$asked questions, $compared answers compared, $refused errors, " . keys(%used) . ' of ' . ($all + 1)
  . ' combinations of switches');
diag("of $sampled plans: " . join(', ', map { $_ . ' changes ' . ($matters{$_} // 0) } @switches));
if (!$only)
{
	ok($matters{$_}, "$_ was put to use") for @switches;
	is(scalar keys %used, $all + 1, 'all combinations of switches were in effect') if $asked > $all;
}

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal|XX000/,
	'no crash and no error of our own');
$node->stop;
done_testing();
