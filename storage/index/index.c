#include "storage/index/index.h"

#include <string.h>

#include "storage/ident/tags.h"
#include "storage/index/index_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* A walk over terms asks for a chain's first node twice as many buckets ahead, and then for its
 * second one. */
#define PREFETCH_BUCKETS 12u

static M3IndexName *
name_at(const M3Arena *arena, M3Ref ref)
{
	return m3_arena_at(arena, ref);
}

static M3IndexTerm *
term_at(const M3Arena *arena, M3Ref ref)
{
	return m3_arena_at(arena, ref);
}

/* --- changes ------------------------------------------------------------ */

/* Zeroed, with its key; 0 if the arena is full.  The key is at most M3_TAG_MAX_SIZE bytes. */
static M3Ref
create_node(M3Arena *arena, M3Env *env, size_t key_offset, M3Slice key, uint32_t hash)
{
	M3Ref		ref = m3_arena_alloc(arena, env, key_offset + key.size);
	M3IndexNode *node;

	if (ref == 0)
		return 0;
	node = m3_arena_at(arena, ref);
	node->hash = hash;
	node->key_offset = (uint16_t) key_offset;
	node->key_size = (uint16_t) key.size;
	if (key.size > 0)
		memcpy((uint8_t *) node + key_offset, key.data, key.size);
	return ref;
}

static void
drop_name_if_empty(M3Arena *arena, M3Env *env, M3Index *index, M3Ref ref)
{
	M3IndexName *name = name_at(arena, ref);

	if (name->terms.count > 0)
		return;
	m3i_table_free(arena, env, &name->terms);
	m3i_table_remove(arena, env, &index->names, ref);
	m3_arena_free(arena, env, ref);
}

static bool
add_to_name(M3Arena *arena, M3Env *env, M3IndexName *name, M3Slice value, uint32_t ordinal)
{
	uint32_t	hash = m3i_index_hash(value);
	M3Ref		ref = m3i_table_find(arena, &name->terms, value, hash);

	if (ref != 0)
	{
		if (!m3i_postings_add(arena, env, &term_at(arena, ref)->postings, ordinal))
			return false;
	}
	else
	{
		ref = create_node(arena, env, offsetof(M3IndexTerm, value), value, hash);
		if (ref == 0)
			return false;
		(void) m3i_postings_add(arena, env, &term_at(arena, ref)->postings, ordinal);
		m3i_table_add(arena, env, &name->terms, ref);
	}
	name->series_count++;
	return true;
}

static bool
add_tag(M3Arena *arena, M3Env *env, M3Index *index, const M3Tag *tag, uint32_t ordinal)
{
	uint32_t	hash = m3i_index_hash(tag->name);
	M3Ref		ref = m3i_table_find(arena, &index->names, tag->name, hash);
	M3IndexName *name;

	if (ref == 0)
	{
		ref = create_node(arena, env, offsetof(M3IndexName, name), tag->name, hash);
		if (ref == 0)
			return false;
		m3i_table_add(arena, env, &index->names, ref);
	}
	name = name_at(arena, ref);
	if (name->stamp == index->stamp)
		return true;
	name->stamp = index->stamp;
	if (add_to_name(arena, env, name, tag->value, ordinal))
		return true;
	drop_name_if_empty(arena, env, index, ref);
	return false;
}

static void
remove_tag(M3Arena *arena, M3Env *env, M3Index *index, const M3Tag *tag, uint32_t ordinal)
{
	M3Ref		name_ref = m3i_table_find(arena, &index->names, tag->name,
										  m3i_index_hash(tag->name));
	M3IndexName *name;
	M3IndexTerm *term;
	M3Ref		ref;

	if (name_ref == 0)
		return;
	name = name_at(arena, name_ref);
	if (name->stamp == index->stamp)
		return;
	name->stamp = index->stamp;
	ref = m3i_table_find(arena, &name->terms, tag->value, m3i_index_hash(tag->value));
	if (ref == 0)
		return;
	term = term_at(arena, ref);
	m3i_postings_remove(arena, env, &term->postings, ordinal);
	name->series_count--;
	if (term->postings.count == 0)
	{
		m3i_table_remove(arena, env, &name->terms, ref);
		m3_arena_free(arena, env, ref);
		drop_name_if_empty(arena, env, index, name_ref);
	}
}

/* The first count tags. */
static void
remove_tags(M3Arena *arena, M3Env *env, M3Index *index, M3Slice tags, uint32_t count,
			uint32_t ordinal)
{
	M3TagIterator iterator;
	M3Tag		tag;

	index->stamp++;
	m3_tag_iterator_init_trusted(&iterator, tags);
	while (count-- > 0 && m3_tag_next(&iterator, &tag))
		remove_tag(arena, env, index, &tag, ordinal);
}

M3Status
m3_index_add(M3Arena *arena, M3Env *env, M3Index *index, M3Slice tags, uint32_t ordinal,
			 M3Error *err)
{
	M3TagIterator iterator;
	M3Tag		tag;

	index->stamp++;
	m3_tag_iterator_init_trusted(&iterator, tags);
	for (uint32_t added = 0; m3_tag_next(&iterator, &tag); added++)
	{
		if (!add_tag(arena, env, index, &tag, ordinal))
		{
			remove_tags(arena, env, index, tags, added, ordinal);
			return m3_error(err, M3_FULL, "no room for tags in the buffer arena");
		}
	}
	return M3_OK;
}

void
m3_index_remove(M3Arena *arena, M3Env *env, M3Index *index, M3Slice tags, uint32_t ordinal)
{
	remove_tags(arena, env, index, tags, UINT32_MAX, ordinal);
}

static void
free_name(M3Arena *arena, M3Env *env, M3Ref ref)
{
	M3IndexName *name = name_at(arena, ref);

	for (uint32_t bucket = 0; bucket <= name->terms.last_bucket; bucket++)
	{
		M3Ref		next;

		for (M3Ref term = m3i_table_chain(arena, &name->terms, bucket); term != 0; term = next)
		{
			next = term_at(arena, term)->node.next;
			m3i_postings_free(arena, env, &term_at(arena, term)->postings);
			m3_arena_free(arena, env, term);
		}
	}
	m3i_table_free(arena, env, &name->terms);
	m3_arena_free(arena, env, ref);
}

void
m3_index_free(M3Arena *arena, M3Env *env, M3Index *index)
{
	for (uint32_t bucket = 0; bucket <= index->names.last_bucket; bucket++)
	{
		M3Ref		next;

		for (M3Ref name = m3i_table_chain(arena, &index->names, bucket); name != 0; name = next)
		{
			next = name_at(arena, name)->node.next;
			free_name(arena, env, name);
		}
	}
	m3i_table_free(arena, env, &index->names);
}

/* --- look-ups ----------------------------------------------------------- */

M3Ref
m3_index_name(const M3Arena *arena, const M3Index *index, M3Slice name)
{
	return m3i_table_find(arena, &index->names, name, m3i_index_hash(name));
}

uint32_t
m3_index_series_count(const M3Arena *arena, M3Ref name)
{
	return name_at(arena, name)->series_count;
}

uint32_t
m3_index_value_count(const M3Arena *arena, M3Ref name)
{
	return name_at(arena, name)->terms.count;
}

M3Ref
m3_index_term(const M3Arena *arena, M3Ref name, M3Slice value)
{
	return m3i_table_find(arena, &name_at(arena, name)->terms, value, m3i_index_hash(value));
}

M3Slice
m3_index_value(const M3Arena *arena, M3Ref term)
{
	return m3i_index_key(&term_at(arena, term)->node);
}

void
m3_index_terms(const M3Arena *arena, M3Ref name, M3TermCursor *cursor)
{
	cursor->arena = arena;
	cursor->terms = &name_at(arena, name)->terms;
	cursor->bucket = 0;
	cursor->next = 0;
}

static void
prefetch_chains(const M3TermCursor *cursor)
{
	M3Ref		first = m3i_table_chain(cursor->arena, cursor->terms,
										cursor->bucket + 2 * PREFETCH_BUCKETS);
	M3Ref		second = m3i_table_chain(cursor->arena, cursor->terms,
										 cursor->bucket + PREFETCH_BUCKETS);

	__builtin_prefetch(m3_arena_at(cursor->arena, first));
	if (second != 0)
		__builtin_prefetch(m3_arena_at(cursor->arena,
									   term_at(cursor->arena, second)->node.next));
}

M3Ref
m3_index_next_term(M3TermCursor *cursor)
{
	const M3IndexTable *terms = cursor->terms;
	M3Ref		term;

	while (cursor->next == 0 && cursor->bucket <= terms->last_bucket)
	{
		if (terms->last_bucket - cursor->bucket >= 2 * PREFETCH_BUCKETS)
			prefetch_chains(cursor);
		cursor->next = m3i_table_chain(cursor->arena, terms, cursor->bucket++);
	}
	term = cursor->next;
	if (term != 0)
		cursor->next = term_at(cursor->arena, term)->node.next;
	return term;
}

uint32_t
m3_index_count(const M3Arena *arena, M3Ref term)
{
	return term_at(arena, term)->postings.count;
}

void
m3_index_copy(const M3Arena *arena, M3Ref term, uint32_t *ordinals)
{
	m3i_postings_copy(arena, &term_at(arena, term)->postings, ordinals);
}

bool
m3_index_contains(const M3Arena *arena, M3Ref term, uint32_t ordinal)
{
	return m3i_postings_contain(arena, &term_at(arena, term)->postings, ordinal);
}

void
m3_index_mark(const M3Arena *arena, M3Ref term, uint64_t *bits)
{
	m3i_postings_mark(arena, &term_at(arena, term)->postings, bits);
}
