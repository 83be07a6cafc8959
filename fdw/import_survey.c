#include "postgres.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#include "compat.h"
#include "fdw/import_survey.h"
#include "server/rows.h"
#include "server/server.h"

typedef struct TagEntry
{
	M3Slice		name;			/* key */
	uint64		series;
	char		status;
} TagEntry;

#define SH_PREFIX tagset
#define SH_ELEMENT_TYPE TagEntry
#define SH_KEY_TYPE M3Slice
#define SH_KEY name
#define SH_HASH_KEY(tb, key) hash_bytes((key).data, (int) (key).size)
#define SH_EQUAL(tb, a, b) m3_slice_equal(a, b)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* A group as it is found: its namespace, a NUL, and its metric. */
typedef struct GroupEntry
{
	M3Slice		name;			/* key */
	size_t		namespace_size;
	const M3NamespaceOptions *options;
	uint64		series;
	tagset_hash *tags;
	char		status;
} GroupEntry;

#define SH_PREFIX groupset
#define SH_ELEMENT_TYPE GroupEntry
#define SH_KEY_TYPE M3Slice
#define SH_KEY name
#define SH_HASH_KEY(tb, key) hash_bytes((key).data, (int) (key).size)
#define SH_EQUAL(tb, a, b) m3_slice_equal(a, b)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct NamespaceEntry
{
	M3Slice		name;
	M3NamespaceOptions options;
} NamespaceEntry;

typedef struct Survey
{
	MemoryContext context;		/* of what is kept */
	M3Slice		wanted;			/* the only namespace; empty: all */
	bool		by_metric;
	List	   *namespaces;		/* NamespaceEntry * */
	groupset_hash *groups;
	tagset_hash *unusable;
	uint64		unnamed_series;
} Survey;

static M3Slice
copy_slice(MemoryContext context, M3Slice slice)
{
	uint8	   *copy = MemoryContextAlloc(context, slice.size + 1);

	if (slice.size > 0)
		memcpy(copy, slice.data, slice.size);
	copy[slice.size] = '\0';
	return m3_slice(copy, slice.size);
}

/* ---- collecting ---- */

static GroupEntry *
enter_group(Survey *survey, const NamespaceEntry *ns, M3Slice metric)
{
	size_t		size = ns->name.size + 1 + metric.size;
	uint8	   *key = palloc(size + 1);
	GroupEntry *group;
	bool		found;

	memcpy(key, ns->name.data, ns->name.size);
	key[ns->name.size] = '\0';
	if (metric.size > 0)
		memcpy(key + ns->name.size + 1, metric.data, metric.size);
	group = groupset_insert(survey->groups, m3_slice(key, size), &found);
	if (!found)
	{
		group->name = copy_slice(survey->context, m3_slice(key, size));
		group->namespace_size = ns->name.size;
		group->options = &ns->options;
		group->series = 0;
		group->tags = tagset_create(survey->context, 8, NULL);
	}
	return group;
}

static void
count_tag(Survey *survey, tagset_hash *tags, M3Slice name)
{
	bool		found;
	TagEntry   *entry = tagset_insert(tags, name, &found);

	if (!found)
	{
		entry->name = copy_slice(survey->context, name);
		entry->series = 0;
	}
	entry->series++;
}

/* Whether an option can say the name: text without NULs. */
static bool
is_sayable(M3Slice text)
{
	return text.size > 0 && text.size <= M3_TAG_MAX_SIZE && m3_utf8_is_valid(text) &&
		memchr(text.data, 0, text.size) == NULL;
}

static const NamespaceEntry *
find_namespace(const Survey *survey, const char *name)
{
	ListCell   *cell;

	foreach(cell, survey->namespaces)
	{
		const NamespaceEntry *entry = lfirst(cell);

		if (strcmp((const char *) entry->name.data, name) == 0)
			return entry;
	}
	return NULL;
}

static void
note_tags(Survey *survey, GroupEntry *group, M3Slice tags)
{
	M3TagIterator iterator;
	M3Tag		tag;

	group->series++;
	m3_tag_iterator_init_trusted(&iterator, tags);
	while (m3_tag_next(&iterator, &tag))
	{
		if (survey->by_metric && m3_slice_equal(tag.name, m3_slice_cstr(M3_TAG_METRIC_NAME)))
			continue;
		if (!is_sayable(tag.name) ||
			m3_slice_equal(tag.name, m3_slice_cstr(M3_TAG_RESERVED_NAME)))
			count_tag(survey, survey->unusable, tag.name);
		else
			count_tag(survey, group->tags, tag.name);
	}
}

/* A row of the list, of which nothing is put into the row. */
static void
note_series(M3dbRow *row, const void *info, void *context)
{
	const M3SeriesInfo *series = info;
	Survey	   *survey = context;
	const NamespaceEntry *ns = find_namespace(survey, series->namespace_name);
	M3Slice		metric = m3_slice("", 0);

	if (ns == NULL)
		return;
	if (survey->by_metric &&
		(!m3_tags_find(series->tags, m3_slice_cstr(M3_TAG_METRIC_NAME), &metric) ||
		 !is_sayable(metric)))
		survey->unnamed_series++;
	else
		note_tags(survey, enter_group(survey, ns, metric), series->tags);
}

static M3Status
list_series(void *context, const M3SeriesInfo *series)
{
	return m3db_listing_row(context, note_series, series);
}

static void
note_namespace(void *context, const M3NamespaceInfo *info)
{
	Survey	   *survey = context;
	NamespaceEntry *entry;

	if (survey->wanted.size > 0 && !m3_slice_equal(survey->wanted, m3_slice_cstr(info->name)))
		return;
	entry = palloc(sizeof(*entry));
	entry->name = copy_slice(survey->context, m3_slice_cstr(info->name));
	entry->options = info->options;
	survey->namespaces = lappend(survey->namespaces, entry);
	if (!survey->by_metric)
		(void) enter_group(survey, entry, m3_slice("", 0));
}

/* ---- the result ---- */

static int
compare_tags(const void *a, const void *b)
{
	return m3_slice_compare(((const M3dbImportTag *) a)->name,
							((const M3dbImportTag *) b)->name);
}

static M3dbImportGroup *
make_group(const GroupEntry *entry)
{
	M3dbImportGroup *group = palloc0(sizeof(*group));
	size_t		metric_at = entry->namespace_size + 1;
	tagset_iterator iterator;
	const TagEntry *tag;

	group->namespace_name = copy_slice(CurrentMemoryContext,
									   m3_slice(entry->name.data, entry->namespace_size));
	group->metric = m3_slice(entry->name.data + metric_at, entry->name.size - metric_at);
	group->options = entry->options;
	group->series = entry->series;
	group->tags = palloc(sizeof(M3dbImportTag) * (entry->tags->members + 1));
	tagset_start_iterate(entry->tags, &iterator);
	while ((tag = tagset_iterate(entry->tags, &iterator)) != NULL)
	{
		group->tags[group->tag_count].name = tag->name;
		group->tags[group->tag_count++].series = tag->series;
	}
	qsort(group->tags, group->tag_count, sizeof(M3dbImportTag), compare_tags);
	return group;
}

static int
compare_groups(const ListCell *a, const ListCell *b)
{
	const M3dbImportGroup *x = lfirst(a);
	const M3dbImportGroup *y = lfirst(b);
	int			order = m3_slice_compare(x->namespace_name, y->namespace_name);

	return order != 0 ? order : m3_slice_compare(x->metric, y->metric);
}

void
m3db_import_survey(M3Database *db, M3Slice namespace_name, bool by_metric,
				   M3dbImportSurvey *result)
{
	Survey		survey = {CurrentMemoryContext, namespace_name, by_metric};
	groupset_iterator iterator;
	const GroupEntry *entry;
	M3dbListing listing;
	M3Status	status;
	M3Error		err = {0};

	survey.groups = groupset_create(CurrentMemoryContext, 16, NULL);
	survey.unusable = tagset_create(CurrentMemoryContext, 8, NULL);
	m3db_check(m3_namespaces(db, note_namespace, &survey, &err), &err);
	m3db_listing_begin(&listing, NULL, &survey);
	status = m3_series_list(db, list_series, &listing, &err);
	m3db_listing_end(&listing, status, &err);

	memset(result, 0, sizeof(*result));
	groupset_start_iterate(survey.groups, &iterator);
	while ((entry = groupset_iterate(survey.groups, &iterator)) != NULL)
		result->groups = lappend(result->groups, make_group(entry));
	list_sort(result->groups, compare_groups);
	result->unnamed_series = survey.unnamed_series;
	result->unusable_tags = survey.unusable->members;
}
