/*
 * An M3Env for tests, over a disk in memory that forgets, fills up and fails.
 *
 * The rules are the least that POSIX promises:
 *   - what is written to a file survives a crash once the file was synced;
 *   - a name that was created, renamed or removed survives once the directory
 *     that holds it was synced (a rename between two: either of them), and
 *     that directory's own name likewise, up to the root;
 *   - a sync that failed leaves its data unsynced for ever: a later sync
 *     succeeds, and writes only what came after.
 *
 * A typical test runs a workload once to count its mutating calls, then, for
 * each n, runs it again on a new disk with the n-th call failing, crashes, opens
 * again and checks that all that was acknowledged is there:
 *
 *     env = env_fault_create();
 *     env_fault_fail(env, &(EnvFaultPlan) {.at = n, .sys_errno = EIO, .for_ever = true});
 *     if (setjmp(jump) == 0)
 *     {
 *         env_fault_catch_panic(env, &jump, &err);
 *         run(env);
 *     }
 *     env_fault_crash(env, ENV_FAULT_TEAR, n);
 *     check(env);
 *     env_fault_destroy(env);
 *
 * Mutating calls: open with M3_OPEN_CREATE or M3_OPEN_CREATE_NEW, open_temporary,
 * write, sync, truncate, rename, unlink, make_directory, remove_directory,
 * sync_directory.  A failing call changes nothing, unless the plan tears it.
 *
 * Locks do not lock (one thread only) but check the order of
 * storage/base/locks.h: a number above all that are held, at most one stripe, no
 * recursion, none held in yield.  A breach prints the locks and aborts.
 *
 * map() returns a copy of its own, so that the sanitizers see over-reads.
 * Paths may be absolute or not, both begin at the root; ".." is refused.  A
 * file has at most 1 GiB.
 */
#ifndef M3_TEST_ENV_FAULT_H
#define M3_TEST_ENV_FAULT_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "storage/base/env.h"

/* What a crash leaves of the changes that were not synced. */
typedef enum EnvFaultCrash
{
	ENV_FAULT_DROP,				/* nothing */
	ENV_FAULT_PREFIX,			/* of each file, and of the names, some first ones */
	ENV_FAULT_TEAR,				/* the same, and the front of each file's next write */
	ENV_FAULT_SUBSET,			/* of each file any; of the names some first ones */
	ENV_FAULT_KEEP,				/* everything: only the process died */
	ENV_FAULT_CRASH_MODES		/* how many there are */
} EnvFaultCrash;

typedef struct EnvFaultPlan
{
	uint64_t	at;				/* 1 is the next mutating call; 0 is never */
	uint64_t	read_at;		/* the same for open to read or write, read, size,
								 * map and list */
	int			sys_errno;		/* 0 stands for EIO */
	bool		for_ever;		/* all later ones of the kind fail as well */
	bool		tear;			/* a failing write has written its first half */
} EnvFaultPlan;

extern M3Env *env_fault_create(void);

/* Files still open and maps still held are freed with it. */
extern void env_fault_destroy(M3Env *env);

/* Counts from now on; NULL ends all failing. */
extern void env_fault_fail(M3Env *env, const EnvFaultPlan *plan);

/* Whether the plan has made a call fail. */
extern bool env_fault_has_failed(const M3Env *env);

/* Mutating calls since the env was made, failed ones included. */
extern uint64_t env_fault_calls(const M3Env *env);

/*
 * The machine stops and starts again.  seed decides whatever the mode leaves to
 * chance.  Handles from before fail with EBADF in all but close; locks are free;
 * nothing more is made to fail.
 */
extern void env_fault_crash(M3Env *env, EnvFaultCrash mode, uint64_t seed);

/* Largest sum of the files' sizes; beyond it ENOSPC, without effect.
 * UINT64_MAX, as at first: no limit. */
extern void env_fault_limit(M3Env *env, uint64_t size);
extern uint64_t env_fault_used(M3Env *env);

/* At first 2024-01-01 00:00 UTC; it stands still. */
extern void env_fault_set_clock(M3Env *env, int64_t now_ns);

/* Panic fills *err and jumps; with jump NULL, as at first, it aborts. */
extern void env_fault_catch_panic(M3Env *env, jmp_buf *jump, M3Error *err);

/* Handles and maps not yet closed, those from before a crash included. */
extern unsigned env_fault_open_files(const M3Env *env);
extern unsigned env_fault_open_maps(const M3Env *env);

/* Locks held now; a test may insist on 0. */
extern unsigned env_fault_held_locks(const M3Env *env);

/* Prints each mutating call to stderr. */
extern void env_fault_trace(M3Env *env, bool on);

#endif							/* M3_TEST_ENV_FAULT_H */
