/*
 * The namespaces a transaction writes to, empties or alters.
 */
#include <string.h>

#include "storage/db/txn_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

uint32_t
m3i_txn_find_namespace(const M3Txn *txn, M3Slice name)
{
	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		const M3TxnNamespace *ns = &txn->namespaces[i];

		if (m3_slice_equal(m3_slice(ns->name, ns->name_size), name))
			return i;
	}
	return UINT32_MAX;
}

/* Room for one more entry of an array. */
static M3Status
reserve(M3Txn *txn, void **array, uint32_t count, uint32_t *capacity, size_t size, M3Error *err)
{
	uint32_t	grown_capacity = *capacity == 0 ? 4 : *capacity * 2;
	void	   *grown;

	if (count < *capacity)
		return M3_OK;
	grown = m3_resize(txn->memory, *array, grown_capacity * size);
	if (grown == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	*array = grown;
	*capacity = grown_capacity;
	return M3_OK;
}

static bool
has_own_points(const M3TxnNamespace *ns)
{
	return ns->points > ns->emptied.points;
}

void
m3i_txn_set_options(M3Txn *txn, M3TxnNamespace *ns, const M3NamespaceOptions *options)
{
	/* which times fit depends on the block size: they are to be looked at anew */
	if (ns->options.block_size_ns != options->block_size_ns)
	{
		ns->min_ns = INT64_MAX;
		ns->max_ns = INT64_MIN;
		txn->rolled_back = true;
	}
	ns->options = *options;
}

static M3Status
change_options(M3Txn *txn, uint32_t number, const M3NamespaceOptions *options, M3Error *err)
{
	M3TxnNamespace *ns = &txn->namespaces[number];
	void	   *changes = txn->changes;
	M3Status	status;

	if (m3i_options_equal(&ns->options, options))
		return M3_OK;
	status = reserve(txn, &changes, txn->change_count, &txn->change_capacity,
					 sizeof(*txn->changes), err);
	txn->changes = changes;
	M3_TRY(status);
	txn->changes[txn->change_count].namespace_number = number;
	txn->changes[txn->change_count].options = ns->options;
	txn->change_count++;
	m3i_txn_set_options(txn, ns, options);
	return M3_OK;
}

static M3Status
add_namespace(M3Txn *txn, M3Slice name, const M3NamespaceOptions *options,
			  const M3RootOptions *root_options, uint32_t *number, M3Error *err)
{
	void	   *namespaces = txn->namespaces;
	M3Status	status = reserve(txn, &namespaces, txn->namespace_count, &txn->namespace_capacity,
								 sizeof(*txn->namespaces), err);
	M3TxnNamespace *ns;

	txn->namespaces = namespaces;
	M3_TRY(status);
	ns = &txn->namespaces[txn->namespace_count];
	memset(ns, 0, sizeof(*ns));
	ns->options = *options;
	ns->root_options = *root_options;
	ns->min_ns = INT64_MAX;
	ns->max_ns = INT64_MIN;
	ns->name_size = (uint32_t) name.size;
	memcpy(ns->name, name.data, name.size);
	*number = txn->namespace_count++;
	return M3_OK;
}

bool
m3_txn_block_size(M3Txn *txn, M3Slice name, int64_t *block_size_ns)
{
	uint32_t	number = m3i_txn_find_namespace(txn, name);
	M3Database *db = txn->db;
	M3Ref		ref = m3i_namespace_find(db, name);

	if (ref != 0)
		*block_size_ns = ((M3NamespaceShared *) m3_arena_at(db->arena, ref))->options.block_size_ns;
	else if (number != UINT32_MAX)
		*block_size_ns = txn->namespaces[number].options.block_size_ns;
	return ref != 0 || number != UINT32_MAX;
}

static M3Status
refuse_block_size(M3Slice name, M3Error *err)
{
	return m3_error(err, M3_CONFLICT, "block_size of namespace \"%.*s\" cannot be changed",
					(int) name.size, (const char *) name.data);
}

M3Status
m3_txn_namespace(M3Txn *txn, M3Slice name, const M3NamespaceOptions *options,
				 const M3RootOptions *root_options, uint32_t *number, M3Error *err)
{
	uint32_t	found = m3i_txn_find_namespace(txn, name);
	M3Status	status = m3i_namespace_check(txn->db, name, options, root_options, err);
	const M3TxnNamespace *ns;
	int64_t		size_ns;

	if (found == UINT32_MAX)
	{
		M3_TRY(status);
		return add_namespace(txn, name, options, root_options, number, err);
	}
	ns = &txn->namespaces[found];
	if (status == M3_CONFLICT && ns->emptied.voided &&
		m3_txn_block_size(txn, name, &size_ns) && size_ns != options->block_size_ns)
		m3_error_detail(err, "Its data in blocks of %lld seconds is there until this transaction "
						"commits; write in another one.",
						(long long) (size_ns / M3_NS_PER_SECOND));
	M3_TRY(status);
	if (ns->options.block_size_ns != options->block_size_ns && has_own_points(ns))
		return refuse_block_size(name, err);
	*number = found;
	return change_options(txn, found, options, err);
}

/* The number of a namespace that the transaction or the database knows, else UINT32_MAX. */
static M3Status
know_namespace(M3Txn *txn, M3Slice name, uint32_t *number, M3Error *err)
{
	M3Database *db = txn->db;
	M3Ref		ref;
	M3NamespaceOptions options;
	M3RootOptions root_options;

	*number = m3i_txn_find_namespace(txn, name);
	if (*number != UINT32_MAX)
		return M3_OK;
	ref = m3i_namespace_find(db, name);
	if (ref == 0)
		return M3_OK;
	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	options = ((const M3NamespaceShared *) m3_arena_at(db->arena, ref))->options;
	root_options = db->root->options;
	db->env->unlock(db->env, m3i_lock_names(db));
	return add_namespace(txn, name, &options, &root_options, number, err);
}

M3Status
m3_txn_void(M3Txn *txn, M3Slice namespace_name, bool dropped, M3Error *err)
{
	void	   *voids = txn->voids;
	M3TxnNamespace *ns;
	M3Status	status;
	uint32_t	number;

	M3_TRY(know_namespace(txn, namespace_name, &number, err));
	if (number == UINT32_MAX)
		return M3_OK;
	status = reserve(txn, &voids, txn->void_count, &txn->void_capacity, sizeof(*txn->voids), err);
	txn->voids = voids;
	M3_TRY(status);
	ns = &txn->namespaces[number];
	txn->voids[txn->void_count].namespace_number = number;
	txn->voids[txn->void_count].before = ns->emptied;
	txn->void_count++;
	ns->emptied.voided = true;
	ns->emptied.dropped |= dropped;
	ns->emptied.position = m3i_pending_count(txn->pending);
	ns->emptied.points = ns->points;
	return M3_OK;
}

M3Status
m3_txn_alter(M3Txn *txn, M3Slice namespace_name, const M3NamespaceOptions *options, M3Error *err)
{
	void	   *alters = txn->alters;
	M3TxnNamespace *ns;
	M3Status	status;
	uint32_t	number;

	M3_TRY(m3_namespace_options_validate(options, err));
	M3_TRY(know_namespace(txn, namespace_name, &number, err));
	if (number == UINT32_MAX)
		return M3_OK;
	ns = &txn->namespaces[number];
	if (ns->options.block_size_ns != options->block_size_ns)
	{
		M3Ref		ref = ns->emptied.voided ? 0 : m3i_namespace_find(txn->db, namespace_name);

		if (has_own_points(ns) || (ref != 0 && m3i_namespace_has_data(txn->db, ref)))
			return refuse_block_size(namespace_name, err);
	}
	status = reserve(txn, &alters, txn->alter_count, &txn->alter_capacity,
					 sizeof(*txn->alters), err);
	txn->alters = alters;
	M3_TRY(status);
	M3_TRY(change_options(txn, number, options, err));
	txn->alters[txn->alter_count].namespace_number = number;
	txn->alters[txn->alter_count].before = ns->altered;
	txn->alter_count++;
	ns->altered = true;
	return M3_OK;
}
