#include "storage/log/scan_private.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define NAME_PREFIX "commitlog-"
#define NAME_SUFFIX ".db"

/* Names */

static M3Status
join_path(char *path, size_t size, const char *directory, const char *name, M3Error *err)
{
	int			length = snprintf(path, size, "%s/%s", directory, name);

	if (length < 0 || (size_t) length >= size)
		return m3_error(err, M3_INVALID, "path of the commit log is too long");
	return M3_OK;
}

M3Status
m3i_log_set_path(const M3LogSet *set, const char *name, char *path, size_t size, M3Error *err)
{
	return join_path(path, size, set->directory, name, err);
}

M3Status
m3_log_path(char *path, size_t size, const char *root_path, uint64_t index, M3Error *err)
{
	int			length = snprintf(path, size, "%s/" M3_LOG_DIRECTORY "/" NAME_PREFIX
								  "0-%llu" NAME_SUFFIX, root_path,
								  (unsigned long long) index);

	if (length < 0 || (size_t) length >= size)
		return m3_error(err, M3_INVALID, "path of the commit log is too long");
	return M3_OK;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* M3's pattern: commitlog-[0-9]*-[0-9]*.db, where * is anything.  The last
 * number is what stands between a dash and the suffix, if it is one. */
static bool
parse_name(const char *name, M3LogListedFile *listed)
{
	const char *first = name + strlen(NAME_PREFIX);
	const char *suffix;
	const char *dash;
	const char *p;
	size_t		length = strlen(name);

	if (length >= sizeof(listed->file.name) || length < strlen(NAME_PREFIX "0-0" NAME_SUFFIX) ||
		strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0 || !is_digit(*first))
		return false;
	suffix = name + length - strlen(NAME_SUFFIX);
	if (strcmp(suffix, NAME_SUFFIX) != 0)
		return false;
	dash = first;
	while (dash < suffix && !(dash[0] == '-' && is_digit(dash[1])))
		dash++;
	if (dash >= suffix)
		return false;

	memset(listed, 0, sizeof(*listed));
	memcpy(listed->file.name, name, length + 1);
	listed->file.is_legacy = !(first[0] == '0' && dash == first + 1);
	listed->has_number = true;
	for (p = dash + 1; p < suffix; p++)
	{
		if (!is_digit(*p) || listed->number > (UINT64_MAX - 9) / 10)
			listed->has_number = false;
		else
			listed->number = listed->number * 10 + (uint64_t) (*p - '0');
	}
	return true;
}

/* Opening */

static M3Status
list_file(void *context, const char *name, bool is_directory)
{
	M3LogSet   *set = context;
	M3LogListedFile	listed;

	if (is_directory || !parse_name(name, &listed))
		return M3_OK;
	if (set->count == set->capacity)
	{
		size_t		capacity = set->capacity == 0 ? 16 : set->capacity * 2;
		M3LogListedFile *grown = m3_resize(set->memory, set->files, capacity * sizeof(*grown));

		if (grown == NULL)
			return M3_NO_MEMORY;
		set->files = grown;
		set->capacity = capacity;
	}
	set->files[set->count++] = listed;
	return M3_OK;
}

/* Whether a file is empty or all zeros. */
static M3Status
check_blank(M3LogSet *set, const char *path, M3LogFile *file, M3Error *err)
{
	M3Env	   *env = set->env;
	M3File	   *handle;
	uint8_t		piece[4096];
	uint64_t	offset = 0;
	size_t		got = 0;
	M3Status	status = env->open(env, path, M3_OPEN_READ, &handle, err);

	if (status != M3_OK)
		return status;
	status = env->size(env, handle, &file->size, err);
	file->is_blank = true;
	while (status == M3_OK && file->is_blank && offset < file->size)
	{
		status = env->read(env, handle, piece, sizeof(piece), offset, &got, err);
		if (status != M3_OK || got == 0)
			break;
		if (piece[0] != 0 || memcmp(piece, piece + 1, got - 1) != 0)
			file->is_blank = false;
		offset += got;
	}
	env->close(env, handle);
	return status;
}

static M3Status
read_header(M3LogSet *set, M3LogListedFile *listed, M3Error *err)
{
	M3LogFile  *file = &listed->file;
	M3LogReader *reader;
	M3LogEnd	end;
	M3Error		reason;
	char		path[M3_LOG_PATH_SIZE];
	M3Status	status;

	memset(&reason, 0, sizeof(reason));
	M3_TRY(m3i_log_set_path(set, file->name, path, sizeof(path), err));
	status = m3_log_reader_open(set->env, set->memory, path, NULL, &reader, &reason);
	if (status == M3_CORRUPT)
	{
		snprintf(file->reason, sizeof(file->reason), "%.127s", reason.message);
		return check_blank(set, path, file, err);
	}
	if (status != M3_OK)
	{
		if (err != NULL)
			*err = reason;
		return status;
	}
	file->has_info = true;
	file->info = *m3_log_reader_info(reader);
	m3_log_reader_end(reader, &end);
	file->size = end.file_size;
	file->name_differs = !file->is_legacy &&
		(!listed->has_number || listed->number != (uint64_t) file->info.index);
	m3_log_reader_close(reader);
	return M3_OK;
}

static int
compare_int64(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_files(const void *left, const void *right)
{
	const M3LogFile *a = &((const M3LogListedFile *) left)->file;
	const M3LogFile *b = &((const M3LogListedFile *) right)->file;
	int			order = 0;

	if (a->has_info != b->has_info)
		return a->has_info ? -1 : 1;
	if (a->has_info && a->is_legacy != b->is_legacy)
		return a->is_legacy ? -1 : 1;
	if (a->has_info && a->is_legacy)
		order = compare_int64(a->info.start_ns, b->info.start_ns);
	if (a->has_info && order == 0)
		order = compare_int64(a->info.index, b->info.index);
	return order != 0 ? order : strcmp(a->name, b->name);
}

M3Status
m3_log_set_open(M3Env *env, M3Memory *memory, const char *root_path,
				M3LogSet **result, M3Error *err)
{
	M3LogSet   *set = m3_alloc(memory, sizeof(*set));
	M3Status	status;

	*result = NULL;
	if (set == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(set, 0, sizeof(*set));
	set->env = env;
	set->memory = memory;
	status = join_path(set->directory, sizeof(set->directory), root_path,
					   M3_LOG_DIRECTORY, err);
	if (status == M3_OK)
	{
		status = env->list(env, set->directory, list_file, set, err);
		if (status == M3_NOT_FOUND)
			status = M3_OK;
		else if (status == M3_NO_MEMORY)
			m3_error(err, M3_NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < set->count && status == M3_OK; i++)
		status = read_header(set, &set->files[i], err);
	if (status != M3_OK)
	{
		m3_log_set_close(set);
		return status;
	}
	if (set->count > 1)
		qsort(set->files, set->count, sizeof(*set->files), compare_files);
	*result = set;
	return M3_OK;
}

void
m3_log_set_close(M3LogSet *set)
{
	if (set == NULL)
		return;
	m3_free(set->memory, set->aborted);
	m3_free(set->memory, set->files);
	m3_free(set->memory, set);
}

size_t
m3_log_set_count(const M3LogSet *set)
{
	return set->count;
}

const M3LogFile *
m3_log_set_file(const M3LogSet *set, size_t number)
{
	return &set->files[number].file;
}

uint64_t
m3_log_set_next_index(const M3LogSet *set, uint64_t floor)
{
	uint64_t	next = floor;
	bool		taken = true;

	for (size_t i = 0; i < set->count; i++)
	{
		const M3LogFile *file = &set->files[i].file;

		if (file->has_info && (uint64_t) file->info.index >= next)
			next = (uint64_t) file->info.index + 1;
	}
	while (taken)
	{
		taken = false;
		for (size_t i = 0; i < set->count && !taken; i++)
		{
			const M3LogListedFile *listed = &set->files[i];

			taken = !listed->file.is_legacy && listed->has_number && listed->number == next;
		}
		next += taken;
	}
	return next;
}

/* Repair */

bool
m3_log_set_needs_repair(const M3LogSet *set, size_t number)
{
	const M3LogFile *file = &set->files[number].file;

	if (!file->is_checked)
		return false;
	switch (file->end.kind)
	{
		case M3_LOG_END_CLEAN:
		case M3_LOG_END_CORRUPT:
			return false;
		case M3_LOG_END_ZEROS:
		case M3_LOG_END_TORN:
			return true;
		case M3_LOG_END_HOLE:
			break;
	}
	/* a log is synced whole before entries go to the next one */
	for (size_t i = number + 1; i < set->count; i++)
	{
		if (set->files[i].file.end.entries > 0)
			return false;
	}
	return true;
}

M3Status
m3_log_set_repair(M3LogSet *set, size_t number, uint64_t *cut, M3Error *err)
{
	M3Env	   *env = set->env;
	M3LogFile  *file = &set->files[number].file;
	char		path[M3_LOG_PATH_SIZE];
	M3File	   *handle;
	M3Status	status;

	*cut = 0;
	if (!m3_log_set_needs_repair(set, number))
		return M3_OK;
	M3_TRY(m3i_log_set_path(set, file->name, path, sizeof(path), err));
	M3_TRY(env->open(env, path, M3_OPEN_WRITE, &handle, err));
	status = env->truncate(env, handle, file->end.valid_size, err);
	if (status == M3_OK)
		status = env->sync(env, handle, err);
	env->close(env, handle);
	M3_TRY(status);
	*cut = file->size - file->end.valid_size;
	file->size = file->end.valid_size;
	file->end.file_size = file->size;
	file->end.offset = file->size;
	file->end.kind = M3_LOG_END_CLEAN;
	file->end.reason[0] = '\0';
	return M3_OK;
}

M3Status
m3_log_set_remove_blank(M3LogSet *set, size_t number, M3Error *err)
{
	M3LogFile  *file = &set->files[number].file;
	char		path[M3_LOG_PATH_SIZE];

	if (file->has_info || !file->is_blank)
		return m3_error(err, M3_INVALID, "commit log is not blank");
	M3_TRY(m3i_log_set_path(set, file->name, path, sizeof(path), err));
	return set->env->unlink(set->env, path, err);
}
