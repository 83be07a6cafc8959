/*
 * ANALYZE: a random sample of a table's rows.
 *
 * Rows come from a query like any other.  A table with more than are worth reading is
 * read in some stretches of time only, each a block long, spread over all there is: so all series
 * have their part in the sample, which conditions and joins on tags need.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/vacuum.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/sampling.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "server/server.h"

/* Rows read for each one of the sample. */
#define ROWS_PER_SAMPLE 100.0
#define FETCH_SIZE 1000

typedef struct Sample
{
	Relation	relation;
	HeapTuple  *rows;
	int			target;
	int			count;
	double		seen;			/* rows read */
	double		to_skip;		/* of the next ones, before one that is taken; -1: not known */
	ReservoirStateData reservoir;
	MemoryContext context;		/* of the rows */
	int			column_count;	/* of the query */
	AttrNumber *attnums;
	Datum	   *values;			/* scratch: of all attributes */
	bool	   *nulls;
} Sample;

/* ---- how much there is ---- */

static double
row_count(const M3dbTable *table, const M3Estimate *estimate)
{
	return (double) estimate->points / (table->wide ? table->value_count : 1);
}

static void
estimate_table(const M3dbTable *table, M3Estimate *estimate, int64 *block_size_ns)
{
	M3Database *db = m3db_database_of_table(table);
	M3NamespaceInfo info;
	M3Error		err;

	*block_size_ns = table->options.block_size_ns;
	m3db_check(m3_scan_estimate(db, table->namespace_name, estimate, &err), &err);
	if (estimate->points > 0 &&
		m3_namespace_info(db, table->namespace_name, &info, &err) == M3_OK)
		*block_size_ns = info.options.block_size_ns;
}

/* ---- the sample ---- */

/* The row as one of the table, dropped columns included. */
static HeapTuple
table_row(Sample *sample, HeapTuple tuple, TupleDesc desc)
{
	TupleDesc	table_desc = RelationGetDescr(sample->relation);
	MemoryContext old_context;
	HeapTuple	row;

	memset(sample->nulls, true, sizeof(bool) * (size_t) table_desc->natts);
	for (int i = 0; i < sample->column_count; i++)
	{
		int			attribute = sample->attnums[i] - 1;

		sample->values[attribute] = heap_getattr(tuple, i + 1, desc,
												 &sample->nulls[attribute]);
	}
	old_context = MemoryContextSwitchTo(sample->context);
	row = heap_form_tuple(table_desc, sample->values, sample->nulls);
	MemoryContextSwitchTo(old_context);
	return row;
}

/* Vitter's algorithm, in PostgreSQL's hands. */
static void
offer_row(Sample *sample, HeapTuple tuple, TupleDesc desc)
{
	if (sample->count < sample->target)
		sample->rows[sample->count++] = table_row(sample, tuple, desc);
	else
	{
		if (sample->to_skip < 0)
			sample->to_skip = reservoir_get_next_S(&sample->reservoir, sample->seen,
												   sample->target);
		if (sample->to_skip <= 0)
		{
			int			place = (int) (sample->target *
									   m3db_reservoir_random_fract(&sample->reservoir));

			heap_freetuple(sample->rows[place]);
			sample->rows[place] = table_row(sample, tuple, desc);
		}
		sample->to_skip -= 1;
	}
	sample->seen += 1;
}

static void
read_rows(Sample *sample, SPIPlanPtr plan, Datum *bounds)
{
	Portal		portal = SPI_cursor_open(NULL, plan, bounds, NULL, true);

	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_SIZE);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
			offer_row(sample, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		SPI_freetuptable(SPI_tuptable);
		vacuum_delay_point_compat(true);
	}
	SPI_freetuptable(SPI_tuptable);
	SPI_cursor_close(portal);
}

/* ---- the query ---- */

/* All columns that there are, of all rows or of those in [$1, $2). */
static SPIPlanPtr
prepare_query(Sample *sample, const M3dbTable *table, bool bounded)
{
	TupleDesc	desc = RelationGetDescr(sample->relation);
	const char *schema = get_namespace_name(RelationGetNamespace(sample->relation));
	const char *time;
	Oid			types[2];
	StringInfoData query;
	SPIPlanPtr	plan;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT ");
	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		appendStringInfo(&query, "%s%s", sample->column_count > 0 ? ", " : "",
						 quote_identifier(NameStr(TupleDescAttr(desc, i)->attname)));
		sample->attnums[sample->column_count++] = (AttrNumber) (i + 1);
	}
	appendStringInfo(&query, " FROM ONLY %s",
					 quote_qualified_identifier(schema,
												RelationGetRelationName(sample->relation)));
	time = quote_identifier(table->columns[table->time_attnum - 1].name);
	types[0] = types[1] = table->columns[table->time_attnum - 1].role == M3DB_ROLE_TIME ?
		TIMESTAMPTZOID : INT8OID;
	if (bounded)
		appendStringInfo(&query, " WHERE %s OPERATOR(pg_catalog.>=) $1"
						 " AND %s OPERATOR(pg_catalog.<) $2", time, time);
	plan = SPI_prepare(query.data, bounded ? 2 : 0, types);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", query.data,
			 SPI_result_code_string(SPI_result));
	return plan;
}

static Datum
time_bound(const M3dbTable *table, int64 time_ns)
{
	return table->columns[table->time_attnum - 1].role == M3DB_ROLE_TIME ?
		TimestampTzGetDatum(m3db_time_from_ns(time_ns)) : Int64GetDatum(time_ns);
}

/* Reads stretches that make up about that fraction of the blocks, one chosen at random in each
 * of as many equal parts of the time there is. */
static void
read_stretches(Sample *sample, const M3dbTable *table, const M3Estimate *estimate,
			   int64 block_size_ns, double fraction)
{
	SPIPlanPtr	plan = prepare_query(sample, table, true);
	double		blocks = ceil(((double) estimate->end_ns - (double) estimate->first_block_ns) /
							  (double) block_size_ns);
	double		count = Max(floor(blocks * fraction), 1);

	for (double i = 0; i < count; i++)
	{
		double		random = m3db_reservoir_random_fract(&sample->reservoir);
		int64		block = (int64) floor((i + random) * blocks / count);
		int64		start_ns = estimate->first_block_ns + block * block_size_ns;
		Datum		bounds[2] = {
			time_bound(table, start_ns), time_bound(table, start_ns + block_size_ns)
		};

		read_rows(sample, plan, bounds);
	}
}

/* PostgreSQL asks for rows at random, of which it keeps statistics. */
static int
acquire_sample_rows(Relation relation, int elevel, HeapTuple *rows, int target,
					double *total_rows, double *total_dead_rows)
{
	const M3dbTable *table = m3db_table(RelationGetRelid(relation));
	int			attribute_count = RelationGetDescr(relation)->natts;
	M3Estimate	estimate = {0};
	int64		block_size_ns;
	double		fraction;
	Sample		sample = {
		.relation = relation,
		.rows = rows,
		.target = target,
		.to_skip = -1,
		.context = CurrentMemoryContext,
		.attnums = palloc(sizeof(AttrNumber) * (size_t) (attribute_count + 1)),
		.values = palloc0(sizeof(Datum) * (size_t) (attribute_count + 1)),
		.nulls = palloc(sizeof(bool) * (size_t) (attribute_count + 1))
	};

	reservoir_init_selection_state(&sample.reservoir, target);
	estimate_table(table, &estimate, &block_size_ns);
	*total_rows = row_count(table, &estimate);
	fraction = *total_rows > 0 ? target * ROWS_PER_SAMPLE / *total_rows : 1;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (fraction >= 1 || estimate.first_block_ns >= estimate.end_ns)
	{
		read_rows(&sample, prepare_query(&sample, table, false), NULL);
		*total_rows = sample.seen;
	}
	else
		read_stretches(&sample, table, &estimate, block_size_ns, fraction);
	SPI_finish();

	*total_dead_rows = 0;
	ereport(elevel,
			(errmsg("\"%s\": read %.0f of about %.0f rows; %d in sample",
					RelationGetRelationName(relation), sample.seen, *total_rows,
					sample.count)));
	return sample.count;
}

bool
m3db_AnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *func,
						 BlockNumber *total_pages)
{
	const M3dbTable *table = m3db_table(RelationGetRelid(relation));
	M3Estimate	estimate = {0};
	int64		block_size_ns;

	estimate_table(table, &estimate, &block_size_ns);
	*func = acquire_sample_rows;
	*total_pages = (BlockNumber) Min(estimate.bytes / BLCKSZ + 1, MaxBlockNumber);
	return true;
}
