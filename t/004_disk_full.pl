# A log that cannot be extended refuses the transaction and harms nothing; a log that cannot be
# synced stops the server before anything is acknowledged.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use M3dbTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tmp = PostgreSQL::Test::Utils::tempdir();

# Stands between the server and the C library: while the file $M3DB_FAULTS.space exists, no log
# grows; while $M3DB_FAULTS.sync exists, no log can be synced.
my $shim = "$tmp/faults.so";
append_to_file("$tmp/faults.c", <<'C');
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int
faulty(int fd, const char *fault)
{
	char		link[64], path[4096], flag[4096];
	const char *prefix = getenv("M3DB_FAULTS");
	ssize_t		size;

	if (prefix == NULL)
		return 0;
	snprintf(flag, sizeof flag, "%s.%s", prefix, fault);
	if (access(flag, F_OK) != 0)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	size = readlink(link, path, sizeof path - 1);
	if (size <= 0)
		return 0;
	path[size] = '\0';
	return strstr(path, "/commitlogs/") != NULL;
}

static int
grows(int fd, off_t end)
{
	struct stat st;

	return fstat(fd, &st) == 0 && end > st.st_size;
}

#define NEXT(name) ((__typeof__(name) *) dlsym(RTLD_NEXT, #name))
#define NO_SPACE(fd, end) (faulty(fd, "space") && grows(fd, end))

ssize_t
pwrite(int fd, const void *data, size_t size, off_t offset)
{
	if (NO_SPACE(fd, offset + (off_t) size))
	{
		errno = ENOSPC;
		return -1;
	}
	return NEXT(pwrite) (fd, data, size, offset);
}

ssize_t
pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	if (NO_SPACE(fd, offset + (off_t) size))
	{
		errno = ENOSPC;
		return -1;
	}
	return NEXT(pwrite64) (fd, data, size, offset);
}

ssize_t
write(int fd, const void *data, size_t size)
{
	if (faulty(fd, "space") && grows(fd, lseek(fd, 0, SEEK_CUR) + (off_t) size))
	{
		errno = ENOSPC;
		return -1;
	}
	return NEXT(write) (fd, data, size);
}

int
fsync(int fd)
{
	if (faulty(fd, "sync"))
	{
		errno = EIO;
		return -1;
	}
	return NEXT(fsync) (fd);
}

int
fdatasync(int fd)
{
	if (faulty(fd, "sync"))
	{
		errno = EIO;
		return -1;
	}
	return NEXT(fdatasync) (fd);
}
C
system('cc', '-shared', '-fPIC', '-O1', '-o', $shim, "$tmp/faults.c", '-ldl') == 0
  or plan skip_all => 'SKIPPED: no C compiler for the shim that makes writes fail';

my $acknowledged = 0;

sub insert_sql
{
	my ($count) = @_;
	return <<SQL;
BEGIN;
INSERT INTO heap SELECT coalesce(max(key), 0) + 1 FROM heap;
INSERT INTO narrow SELECT timestamptz '2026-05-01 00:00+00' + interval '1 second' * i, 'h' || i % 50,
    random() FROM generate_series($acknowledged + 1, $acknowledged + $count) i;
COMMIT;
SQL
}

sub is_intact
{
	my ($node, $when) = @_;
	my $rows = $node->safe_psql('postgres', 'SELECT count(*) FROM narrow');
	is($rows, $acknowledged, "$when: what was acknowledged is there, and no more");
	return;
}

my $commits = 0;

# Writes until it fails. The space set aside before may serve for a while.
sub write_until_refused
{
	my ($node, $when) = @_;
	my ($state, $message);
	for (1 .. 400)
	{
		($state, $message) = sqlstate_of($node, insert_sql(5000));
		last if $state ne '00000';
		$acknowledged += 5000;
		$commits++;
	}
	is($state, '53100', "$when: a transaction too many is refused with disk_full")
	  or diag($message);
	like($message, qr/No space left on device|full/, "$when: and the message says why");
	return;
}

sub full_disk
{
	my ($name, $fill, $free, %options) = @_;
	my $node = new_server($name, conf => $options{conf}, env => $options{env});
	create_tables($node);
	($acknowledged, $commits) = (0, 0);
	my $postmaster = $node->{_pid};

	$node->safe_psql('postgres', insert_sql(5000));
	($acknowledged, $commits) = (5000, 1);
	for my $time (1, 2)
	{
		$fill->();
		write_until_refused($node, "$name $time");
		is_intact($node, "$name $time, full");
		is($node->safe_psql('postgres', 'SELECT count(*) FROM heap'), $commits,
			"$name $time: the plain table agrees");
		my ($state) = sqlstate_of($node, insert_sql(5000));
		is($state, '53100', "$name $time: so is the next one");
		is_intact($node, "$name $time, still full");
		$free->();
		$node->safe_psql('postgres', insert_sql(100));
		$acknowledged += 100;
		$commits++;
		is_intact($node, "$name $time, space again");
	}
	ok(kill(0, $postmaster), "$name: the server lived through it");
	unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal|TRAP/,
		"$name: nothing crashed");

	local %ENV = (%ENV, %{ $options{env} // {} });
	crash_postmaster($node);
	start_again($node);
	is_intact($node, "$name, after a crash");

	# A crash while the disk is full: plain SQL works, ours as soon as there is space.
	$fill->();
	write_until_refused($node, "$name, before a crash");
	crash_postmaster($node);
	start_again($node);
	is($node->safe_psql('postgres', 'SELECT count(*) FROM heap'), $commits,
		"$name: started on a full disk");
	$free->();
	ok($node->poll_query_until('postgres', "SELECT count(*) = $acknowledged FROM narrow"),
		"$name: all is there once there is space");
	$node->stop;
	return;
}

my $faults = "$tmp/fault";
my %shimmed = (LD_PRELOAD => $shim, M3DB_FAULTS => $faults);
full_disk('shim',
	sub { append_to_file("$faults.space", '') },
	sub { unlink "$faults.space" },
	env => \%shimmed, conf => "m3db.commitlog_preallocate_size = 1MB\n");

SKIP:
{
	my $small = $ENV{M3DB_SMALL_DIRECTORY};
	skip 'SKIPPED: M3DB_SMALL_DIRECTORY names no small file system to fill', 1
	  unless defined $small && -d $small;
	my $fill = sub {
		system("cat /dev/zero >$small/filler 2>/dev/null");
		return;
	};
	full_disk('small', $fill, sub { unlink "$small/filler" },
		conf => "m3db.data_directory = '$small/root'\n");
}

# A failed sync
{
	my $node = new_server('sync', env => \%shimmed);
	create_tables($node);
	local %ENV = (%ENV, %shimmed);
	for my $time (1 .. 3)
	{
		$node->safe_psql('postgres', insert_sql(500));
		append_to_file("$faults.sync", '');
		my ($state, $message) = $time == 2
		  ? sqlstate_of($node, q(INSERT INTO narrow VALUES ('2026-05-02 00:00+00', 'unsure', 1)))
		  : sqlstate_of($node, "BEGIN; INSERT INTO heap VALUES (-$time);"
			  . " INSERT INTO narrow VALUES ('2026-05-02 00:00+00', 'unsure', $time); COMMIT");
		isnt($state, '00000', "sync $time: a transaction is not acknowledged")
		  or diag($message);
		unlink "$faults.sync";
		wait_until_up($node);
		is($node->safe_psql('postgres', q(SELECT count(*) FROM narrow WHERE host <> 'unsure')),
			500, "sync $time: what was acknowledged is there");
		is($node->safe_psql('postgres', "SELECT count(*) FROM heap WHERE key = -$time"),
			$time == 2 ? 0 : $node->safe_psql('postgres',
				"SELECT count(*) FROM narrow WHERE host = 'unsure' AND usage = $time"),
			"sync $time: the plain table agrees about the unfinished one");
	}
	like(slurp_file($node->logfile), qr/PANIC:[^\n]*(?:sync|commit log)/, 'a failed sync is a PANIC');
	$node->stop;
}

done_testing();
