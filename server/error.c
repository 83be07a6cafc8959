/*
 * Errors of the storage engine as PostgreSQL reports them.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "compat.h"
#include "server/server.h"

/* errcode_for_file_access and %m look at errno as it was at the start of ereport. */
static int
sqlstate_of_io(const M3Error *err)
{
	if (err->sys_errno == ENOSPC || err->sys_errno == EDQUOT)
		return errcode(ERRCODE_DISK_FULL);
	return errcode_for_file_access();
}

static int
sqlstate(const M3Error *err)
{
	switch (err->status)
	{
		case M3_OK:
			break;
		case M3_NOT_FOUND:
			if (err->sys_errno != 0)
				return sqlstate_of_io(err);
			return errcode(ERRCODE_UNDEFINED_OBJECT);
		case M3_CORRUPT:
			return errcode(ERRCODE_DATA_CORRUPTED);
		case M3_IO:
			return sqlstate_of_io(err);
		case M3_NO_MEMORY:
		case M3_FULL:
			return errcode(ERRCODE_OUT_OF_MEMORY);
		case M3_INVALID:
			/* the engine's messages about times begin with the word */
			if (strncmp(err->message, "time ", 5) == 0)
				return errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE);
			return errcode(ERRCODE_INVALID_PARAMETER_VALUE);
		case M3_CONFLICT:
			if (err->sys_errno != 0)
				return sqlstate_of_io(err);
			return errcode(ERRCODE_INVALID_PARAMETER_VALUE);
		case M3_UNSUPPORTED:
			return errcode(ERRCODE_FEATURE_NOT_SUPPORTED);
		case M3_NOT_READY:
			return errcode(ERRCODE_CANNOT_CONNECT_NOW);
	}
	return errcode(ERRCODE_INTERNAL_ERROR);
}

/* A system call's failure reads like one of the server's own. */
static int
message(const M3Error *err)
{
	const char *text = err->message[0] != '\0' ? err->message : m3_status_name(err->status);

	if (err->sys_errno == 0)
		return errmsg("%s", text);
	if (err->file[0] != '\0')
		return errmsg("%s \"%s\": %m", text, err->file);
	return errmsg("%s: %m", text);
}

static int
detail(const M3Error *err)
{
	char		place[sizeof(err->file) + 64] = "";

	if (err->file[0] != '\0' && err->sys_errno == 0)
	{
		if (err->offset >= 0)
			snprintf(place, sizeof(place), "File \"%s\", offset %lld.", err->file,
					 (long long) err->offset);
		else
			snprintf(place, sizeof(place), "File \"%s\".", err->file);
	}
	if (place[0] == '\0' && err->detail[0] == '\0')
		return 0;
	return errdetail("%s%s%s", place,
					 place[0] != '\0' && err->detail[0] != '\0' ? " " : "",
					 err->detail);
}

static int
hint(const M3Error *err)
{
	switch (err->status)
	{
		case M3_FULL:
			return errhint("Enlarge \"m3db.buffer_size\".");
		case M3_IO:
			if (err->sys_errno == ENOSPC)
				return errhint("Check free disk space.");
			return 0;
		case M3_NOT_READY:
			return errhint("See \"m3db.stat_bootstrap\" for its progress.");
		default:
			return 0;
	}
}

/*
 * The engine speaks UTF-8 and may cut a long name anywhere.  A conversion could raise
 * an error of its own here, so other encodings see what is not ASCII as question marks.
 */
static void
make_readable(char *text)
{
	size_t		size = strlen(text);
	char	   *out = text;

	if (GetDatabaseEncoding() == PG_UTF8)
	{
		for (int cut = 0; cut < 4 && size > 0; cut++)
		{
			if (m3_utf8_is_valid(m3_slice(text, size)))
				return;
			text[--size] = '\0';
		}
	}
	for (const char *in = text; *in != '\0'; in++)
	{
		unsigned char c = (unsigned char) *in;

		if (c < 0x80)
			*out++ = *in;
		else if (c >= 0xc0)
			*out++ = '?';
	}
	*out = '\0';
}

void
m3db_report(int elevel, const M3Error *err)
{
	M3Error		readable = *err;

	make_readable(readable.message);
	make_readable(readable.detail);
	errno = err->sys_errno;
	ereport(elevel,
			(sqlstate(err), message(&readable), detail(&readable), hint(err)));
}

void
m3db_check(M3Status status, const M3Error *err)
{
	M3Error		bare = {0};

	if (likely(status == M3_OK))
		return;
	if (err == NULL || err->status == M3_OK)
	{
		bare.status = status;
		bare.offset = -1;
		err = &bare;
	}
	m3db_report(ERROR, err);
}
