#include "storage/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

static void
fill(M3Error *err, M3Status status, int sys_errno, const char *path,
	 int64_t offset, const char *format, va_list args)
{
	if (err == NULL)
		return;
	err->status = status;
	err->sys_errno = sys_errno;
	err->offset = offset;
	err->detail[0] = '\0';
	snprintf(err->file, sizeof(err->file), "%s", path ? path : "");
	vsnprintf(err->message, sizeof(err->message), format, args);
}

M3Status
m3_error(M3Error *err, M3Status status, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fill(err, status, 0, NULL, -1, format, args);
	va_end(args);
	return status;
}

M3Status
m3_error_io(M3Error *err, int sys_errno, const char *path,
			const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fill(err, M3_IO, sys_errno, path, -1, format, args);
	va_end(args);
	return M3_IO;
}

M3Status
m3_error_corrupt(M3Error *err, const char *path, int64_t offset,
				 const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fill(err, M3_CORRUPT, 0, path, offset, format, args);
	va_end(args);
	return M3_CORRUPT;
}

void
m3_error_detail(M3Error *err, const char *format,...)
{
	va_list		args;

	if (err == NULL)
		return;
	va_start(args, format);
	vsnprintf(err->detail, sizeof(err->detail), format, args);
	va_end(args);
}

const char *
m3_status_name(M3Status status)
{
	switch (status)
	{
		case M3_OK:
			return "ok";
		case M3_NOT_FOUND:
			return "not found";
		case M3_CORRUPT:
			return "corrupt";
		case M3_IO:
			return "i/o error";
		case M3_NO_MEMORY:
			return "out of memory";
		case M3_FULL:
			return "full";
		case M3_INVALID:
			return "invalid";
		case M3_CONFLICT:
			return "conflict";
		case M3_UNSUPPORTED:
			return "unsupported";
		case M3_NOT_READY:
			return "not ready";
	}
	return "unknown";
}
