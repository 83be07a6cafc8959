/*
 * The storage engine as server/ and fdw/ see it.
 */
#ifndef M3_H
#define M3_H

#include "storage/base/arena.h"
#include "storage/base/env.h"
#include "storage/base/locks.h"
#include "storage/base/memory.h"
#include "storage/base/slice.h"
#include "storage/base/status.h"
#include "storage/base/time.h"
#include "storage/codec/m3tsz.h"
#include "storage/db/bootstrap.h"
#include "storage/db/engine.h"
#include "storage/db/export.h"
#include "storage/db/jobs.h"
#include "storage/db/maintain.h"
#include "storage/db/mount.h"
#include "storage/db/namespace.h"
#include "storage/db/scan.h"
#include "storage/db/snapshot.h"
#include "storage/db/txn.h"
#include "storage/ident/id.h"
#include "storage/ident/tags.h"

#endif							/* M3_H */
