#include "test/support/fault_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_SIZE 256
#define CHANGES_BETWEEN_COLLECTIONS 1024

/* A write, or with data NULL a truncation to offset. */
struct Change
{
	Change	   *next;
	uint8_t    *data;
	size_t		size;
	uint64_t	offset;
};

/* A name taken away, a name given, or both at once. */
typedef struct NameChange
{
	struct NameChange *next;
	Node	   *from;			/* directories; NULL for none */
	Node	   *to;
	char	   *from_name;
	char	   *to_name;
	Node	   *node;
} NameChange;

struct Disk
{
	Node	   *root;
	Node	   *nodes;
	NameChange *first_change;
	NameChange **last_change;
	unsigned	changes_since_collection;
};

static void *
must(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

static uint64_t
next_random(uint64_t *seed)
{
	uint64_t	z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Contents */

static void
resize_bytes(Bytes *bytes, size_t size)
{
	if (size > bytes->capacity)
	{
		bytes->capacity = size > 2 * bytes->capacity ? size : 2 * bytes->capacity;
		bytes->data = must(realloc(bytes->data, bytes->capacity));
	}
	if (size > bytes->size)
		memset(bytes->data + bytes->size, 0, size - bytes->size);
	bytes->size = size;
}

/* Applies the first size bytes of a write, or all of a truncation. */
static void
apply_change(Bytes *bytes, const Change *change, size_t size)
{
	if (change->data == NULL)
		resize_bytes(bytes, change->offset);
	else if (size > 0)
	{
		if (change->offset + size > bytes->size)
			resize_bytes(bytes, change->offset + size);
		memcpy(bytes->data + change->offset, change->data, size);
	}
}

static void
append_change(Node *file, const void *data, size_t size, uint64_t offset)
{
	Change	   *change = must(calloc(1, sizeof(*change)));

	if (data != NULL)
	{
		change->data = must(malloc(size == 0 ? 1 : size));
		memcpy(change->data, data, size);
	}
	change->size = size;
	change->offset = offset;
	apply_change(&file->now, change, size);
	*file->last_change = change;
	file->last_change = &change->next;
}

static Change *
drop_first_change(Node *file)
{
	Change	   *change = file->first_change;

	file->first_change = change->next;
	if (file->first_change == NULL)
		file->last_change = &file->first_change;
	free(change->data);
	free(change);
	return file->first_change;
}

void
disk_write(Node *file, const void *data, size_t size, uint64_t offset)
{
	if (size > 0)
		append_change(file, data, size, offset);
}

void
disk_truncate(Node *file, uint64_t size)
{
	append_change(file, NULL, 0, size);
}

void
disk_sync(Node *file)
{
	while (file->first_change != NULL)
	{
		apply_change(&file->stable, file->first_change, file->first_change->size);
		drop_first_change(file);
	}
}

void
disk_lose(Node *file)
{
	while (file->first_change != NULL)
		drop_first_change(file);
}

/* Nodes and names */

static Node *
make_node(Disk *disk, bool is_directory)
{
	Node	   *node = must(calloc(1, sizeof(*node)));

	node->is_directory = is_directory;
	node->last_change = &node->first_change;
	node->next = disk->nodes;
	disk->nodes = node;
	return node;
}

static void
free_node(Node *node)
{
	disk_lose(node);
	for (size_t i = 0; i < node->entry_count; i++)
		free(node->entries[i].name);
	free(node->entries);
	free(node->now.data);
	free(node->stable.data);
	free(node);
}

static Entry *
find_entry(Node *directory, const char *name)
{
	for (size_t i = 0; i < directory->entry_count; i++)
	{
		if (strcmp(directory->entries[i].name, name) == 0)
			return &directory->entries[i];
	}
	return NULL;
}

static Entry *
need_entry(Node *directory, const char *name)
{
	Entry	   *entry = find_entry(directory, name);

	if (entry != NULL)
		return entry;
	directory->entries = must(realloc(directory->entries,
									  (directory->entry_count + 1) * sizeof(Entry)));
	entry = &directory->entries[directory->entry_count++];
	entry->name = must(strdup(name));
	entry->now = NULL;
	entry->stable = NULL;
	return entry;
}

static void
drop_unused_entries(Node *directory)
{
	size_t		kept = 0;

	for (size_t i = 0; i < directory->entry_count; i++)
	{
		Entry	   *entry = &directory->entries[i];

		if (entry->now == NULL && entry->stable == NULL)
			free(entry->name);
		else
			directory->entries[kept++] = *entry;
	}
	directory->entry_count = kept;
}

static Node *
find_now(Node *directory, const char *name)
{
	Entry	   *entry = find_entry(directory, name);

	return entry == NULL ? NULL : entry->now;
}

/* The directory of a path's last name, and that name; "" for the root itself. */
static int
find_parent(Disk *disk, const char *path, Node **parent, char name[NAME_MAX_SIZE])
{
	*parent = disk->root;
	name[0] = '\0';
	for (;;)
	{
		size_t		size;
		Node	   *child;

		path += strspn(path, "/");
		size = strcspn(path, "/");
		if (size == 0)
			return 0;
		if (size >= NAME_MAX_SIZE)
			return ENAMETOOLONG;
		if (size == 1 && path[0] == '.')
		{
			path += size;
			continue;
		}
		if (name[0] != '\0')
		{
			child = find_now(*parent, name);
			if (child == NULL)
				return ENOENT;
			if (!child->is_directory)
				return ENOTDIR;
			*parent = child;
		}
		memcpy(name, path, size);
		name[size] = '\0';
		if (strcmp(name, "..") == 0)
			return EINVAL;
		path += size;
	}
}

int
disk_find(Disk *disk, const char *path, Node **node)
{
	Node	   *parent;
	char		name[NAME_MAX_SIZE];
	int			result = find_parent(disk, path, &parent, name);

	*node = NULL;
	if (result != 0)
		return result;
	*node = name[0] == '\0' ? parent : find_now(parent, name);
	return *node == NULL ? ENOENT : 0;
}

static void
apply_name_change(const NameChange *change, bool to_stable)
{
	Entry	   *entry;

	if (change->from != NULL)
	{
		entry = need_entry(change->from, change->from_name);
		if (to_stable)
			entry->stable = NULL;
		else
			entry->now = NULL;
		drop_unused_entries(change->from);
	}
	if (change->to != NULL)
	{
		entry = need_entry(change->to, change->to_name);
		if (to_stable)
			entry->stable = change->node;
		else
			entry->now = change->node;
	}
}

static void
free_name_change(NameChange *change)
{
	free(change->from_name);
	free(change->to_name);
	free(change);
}

/* Marks what can still be reached, now or after a crash. */
static void
mark_nodes(Disk *disk)
{
	bool		found = true;

	for (Node *node = disk->nodes; node != NULL; node = node->next)
		node->is_marked = node == disk->root || node->handles > 0;
	for (NameChange *change = disk->first_change; change != NULL; change = change->next)
	{
		change->node->is_marked = true;
		if (change->from != NULL)
			change->from->is_marked = true;
		if (change->to != NULL)
			change->to->is_marked = true;
	}
	while (found)
	{
		found = false;
		for (Node *node = disk->nodes; node != NULL; node = node->next)
		{
			for (size_t i = 0; node->is_marked && i < node->entry_count; i++)
			{
				Node	   *pair[2] = {node->entries[i].now, node->entries[i].stable};

				for (unsigned j = 0; j < 2; j++)
				{
					if (pair[j] != NULL && !pair[j]->is_marked)
						found = pair[j]->is_marked = true;
				}
			}
		}
	}
}

static void
collect_garbage(Disk *disk)
{
	mark_nodes(disk);
	for (Node **link = &disk->nodes; *link != NULL;)
	{
		Node	   *node = *link;

		if (node->is_marked)
			link = &node->next;
		else
		{
			*link = node->next;
			free_node(node);
		}
	}
	disk->changes_since_collection = 0;
}

static void
change_name(Disk *disk, Node *from, const char *from_name, Node *to, const char *to_name,
			Node *node)
{
	NameChange *change = must(calloc(1, sizeof(*change)));

	change->from = from;
	change->to = to;
	change->from_name = from == NULL ? NULL : must(strdup(from_name));
	change->to_name = to == NULL ? NULL : must(strdup(to_name));
	change->node = node;
	apply_name_change(change, false);
	*disk->last_change = change;
	disk->last_change = &change->next;
	if (++disk->changes_since_collection >= CHANGES_BETWEEN_COLLECTIONS)
		collect_garbage(disk);
}

int
disk_make(Disk *disk, const char *path, bool is_directory, Node **node)
{
	Node	   *parent;
	char		name[NAME_MAX_SIZE];
	int			result = find_parent(disk, path, &parent, name);

	*node = NULL;
	if (result != 0)
		return result;
	if (name[0] == '\0' || find_now(parent, name) != NULL)
		return EEXIST;
	*node = make_node(disk, is_directory);
	change_name(disk, NULL, NULL, parent, name, *node);
	return 0;
}

Node *
disk_make_unnamed(Disk *disk)
{
	return make_node(disk, false);
}

static bool
is_empty(Node *directory)
{
	for (size_t i = 0; i < directory->entry_count; i++)
	{
		if (directory->entries[i].now != NULL)
			return false;
	}
	return true;
}

int
disk_remove(Disk *disk, const char *path, bool is_directory)
{
	Node	   *parent;
	char		name[NAME_MAX_SIZE];
	Node	   *node;
	int			result = find_parent(disk, path, &parent, name);

	if (result != 0)
		return result;
	if (name[0] == '\0')
		return EBUSY;
	node = find_now(parent, name);
	if (node == NULL)
		return ENOENT;
	if (node->is_directory != is_directory)
		return is_directory ? ENOTDIR : EISDIR;
	if (is_directory && !is_empty(node))
		return ENOTEMPTY;
	change_name(disk, parent, name, NULL, NULL, node);
	return 0;
}

int
disk_rename(Disk *disk, const char *from, const char *to)
{
	Node	   *from_parent;
	Node	   *to_parent;
	Node	   *node;
	Node	   *replaced;
	char		from_name[NAME_MAX_SIZE];
	char		to_name[NAME_MAX_SIZE];
	int			result = find_parent(disk, from, &from_parent, from_name);

	if (result == 0)
		result = find_parent(disk, to, &to_parent, to_name);
	if (result != 0)
		return result;
	if (from_name[0] == '\0' || to_name[0] == '\0')
		return EBUSY;
	node = find_now(from_parent, from_name);
	if (node == NULL)
		return ENOENT;
	replaced = find_now(to_parent, to_name);
	if (replaced == node)
		return 0;
	if (replaced != NULL && replaced->is_directory != node->is_directory)
		return node->is_directory ? ENOTDIR : EISDIR;
	if (replaced != NULL && node->is_directory && !is_empty(replaced))
		return ENOTEMPTY;
	change_name(disk, from_parent, from_name, to_parent, to_name, node);
	return 0;
}

/* Makes stable the changes of names of that directory (NULL: of all), at most
 * limit of them. */
static void
apply_name_changes(Disk *disk, const Node *directory, uint64_t limit)
{
	NameChange **link = &disk->first_change;

	while (*link != NULL && limit > 0)
	{
		NameChange *change = *link;

		if (directory != NULL && change->from != directory && change->to != directory)
		{
			link = &change->next;
			continue;
		}
		apply_name_change(change, true);
		*link = change->next;
		free_name_change(change);
		limit--;
	}
	while (*link != NULL)
		link = &(*link)->next;
	disk->last_change = link;
}

void
disk_sync_names(Disk *disk, Node *directory)
{
	apply_name_changes(disk, directory, UINT64_MAX);
}

/* Crashes */

static void
crash_names(Disk *disk, EnvFaultCrash mode, uint64_t *seed)
{
	uint64_t	count = 0;
	uint64_t	kept = UINT64_MAX;

	for (NameChange *change = disk->first_change; change != NULL; change = change->next)
		count++;
	if (mode == ENV_FAULT_DROP)
		kept = 0;
	else if (mode != ENV_FAULT_KEEP)
		kept = next_random(seed) % (count + 1);
	apply_name_changes(disk, NULL, kept);
	while (disk->first_change != NULL)
	{
		NameChange *change = disk->first_change;

		disk->first_change = change->next;
		free_name_change(change);
	}
	disk->last_change = &disk->first_change;
}

static void
crash_file(Node *file, EnvFaultCrash mode, uint64_t *seed)
{
	uint64_t	count = 0;
	uint64_t	kept;

	for (Change *change = file->first_change; change != NULL; change = change->next)
		count++;
	kept = mode == ENV_FAULT_DROP ? 0 : mode == ENV_FAULT_PREFIX || mode == ENV_FAULT_TEAR ?
		next_random(seed) % (count + 1) : count;
	for (Change *change = file->first_change; change != NULL; change = drop_first_change(file))
	{
		if (kept > 0)
		{
			kept--;
			if (mode != ENV_FAULT_SUBSET || next_random(seed) % 2 == 0)
				apply_change(&file->stable, change, change->size);
		}
		else if (mode == ENV_FAULT_TEAR)
		{
			if (change->data != NULL)
				apply_change(&file->stable, change, next_random(seed) % change->size);
			mode = ENV_FAULT_DROP;
		}
	}
	resize_bytes(&file->now, 0);
	resize_bytes(&file->now, file->stable.size);
	if (file->stable.size > 0)
		memcpy(file->now.data, file->stable.data, file->stable.size);
}

void
disk_crash(Disk *disk, EnvFaultCrash mode, uint64_t seed)
{
	crash_names(disk, mode, &seed);
	for (Node *node = disk->nodes; node != NULL; node = node->next)
	{
		node->handles = 0;
		for (size_t i = 0; i < node->entry_count; i++)
			node->entries[i].now = node->entries[i].stable;
		drop_unused_entries(node);
		if (!node->is_directory)
			crash_file(node, mode, &seed);
	}
	collect_garbage(disk);
}

uint64_t
disk_used(Disk *disk)
{
	uint64_t	used = 0;

	/* names now, by the marks; hard links do not exist */
	for (Node *node = disk->nodes; node != NULL; node = node->next)
		node->is_marked = node->handles > 0;
	for (Node *node = disk->nodes; node != NULL; node = node->next)
	{
		for (size_t i = 0; i < node->entry_count; i++)
		{
			if (node->entries[i].now != NULL)
				node->entries[i].now->is_marked = true;
		}
	}
	for (Node *node = disk->nodes; node != NULL; node = node->next)
	{
		if (node->is_marked)
			used += node->now.size;
	}
	return used;
}

Disk *
disk_create(void)
{
	Disk	   *disk = must(calloc(1, sizeof(*disk)));

	disk->root = make_node(disk, true);
	disk->last_change = &disk->first_change;
	return disk;
}

void
disk_destroy(Disk *disk)
{
	for (Node *next, *node = disk->nodes; node != NULL; node = next)
	{
		next = node->next;
		free_node(node);
	}
	for (NameChange *next, *change = disk->first_change; change != NULL; change = next)
	{
		next = change->next;
		free_name_change(change);
	}
	free(disk);
}
