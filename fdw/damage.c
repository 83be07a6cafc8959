#include "postgres.h"

#include "utils/memutils.h"

#include "compat.h"
#include "fdw/damage.h"
#include "server/server.h"

static bool
is_known(const M3dbDamage *damage, const char *file)
{
	ListCell   *cell;

	foreach(cell, damage->files)
	{
		if (strcmp(lfirst(cell), file) == 0)
			return true;
	}
	return false;
}

static void
warn(M3dbDamage *damage, const M3Error *err)
{
	MemoryContext old_context;

	if (is_known(damage, err->file))
		return;
	old_context = MemoryContextSwitchTo(damage->context);
	damage->files = lappend(damage->files, pstrdup(err->file));
	MemoryContextSwitchTo(old_context);
	ereport(WARNING,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("M3DB directory \"%s\": %s: \"%s\"", damage->table->directory,
					err->message, err->file),
			 errdetail("What is damaged there is left out.")));
}

M3Status
m3db_read_batch(M3dbDamage *damage, M3Reader *reader, bool from_end, M3PointBatch *batch)
{
	for (;;)
	{
		M3Error		err = {0};
		M3Status	status = from_end ? m3_reader_previous(reader, batch, &err) :
			m3_reader_next(reader, batch, &err);

		if (status == M3_OK || status == M3_NOT_FOUND)
			return status;
		if (status != M3_CORRUPT || damage->table->directory == NULL)
			m3db_check(status, &err);
		/* the reader goes on with the next block */
		warn(damage, &err);
	}
}
