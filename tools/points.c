#include "tools/points.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "tools/points_private.h"
#include "tools/root.h"

void
points_options_default(PointsOptions *options)
{
	memset(options, 0, sizeof(*options));
	options->from_ns = INT64_MIN;
	options->to_ns = INT64_MAX;
	options->memory_size = UINT64_C(256) << 20;
}

void
points_warn(PointsRun *run, const char *file, int64_t offset, const char *format,...)
{
	char		message[1024];
	va_list		args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	run->report->warnings++;
	if (run->warn != NULL)
		run->warn(run->warn_context, file, offset, message);
}

static int64_t
configured_block_size(const PointsRun *run, M3Slice name)
{
	const RegistryNamespace *registered = registry_find(&run->registry, name);

	for (size_t i = 0; i < run->options->block_size_count; i++)
	{
		const PointsBlockSize *size = &run->options->block_sizes[i];

		if (size->name == NULL || m3_slice_equal(m3_slice_cstr(size->name), name))
			return size->block_size_ns;
	}
	return registered == NULL ? 0 : registered->options.block_size_ns;
}

PointsNamespace *
points_namespace(PointsRun *run, M3Slice name)
{
	const char *only = run->options->namespace_name;
	PointsNamespace *grown;
	PointsNamespace *ns;

	for (size_t i = 0; i < run->namespace_count; i++)
	{
		ns = &run->namespaces[i];
		if (m3_slice_equal(m3_slice(ns->name, ns->name_size), name))
			return ns;
	}
	grown = m3_resize(run->memory, run->namespaces, (run->namespace_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return NULL;
	run->namespaces = grown;
	ns = &grown[run->namespace_count];
	memset(ns, 0, sizeof(*ns));
	ns->name = m3_alloc(run->memory, name.size + 1);
	if (ns->name == NULL)
		return NULL;
	if (name.size > 0)
		memcpy(ns->name, name.data, name.size);
	ns->name_size = name.size;
	ns->block_size_ns = configured_block_size(run, name);
	if (only != NULL)
		ns->is_wanted = m3_slice_equal(m3_slice_cstr(only), name);
	else
	{
		ns->is_wanted = !run->has_registry || registry_find(&run->registry, name) != NULL;
		if (!ns->is_wanted)
			points_warn(run, "", -1, "namespace \"%.*s\" is not in the registry and is left out "
						"(--namespace shows it)", (int) name.size, (const char *) name.data);
	}
	run->namespace_count++;
	return ns;
}

static M3Status
read_registry(PointsRun *run, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3Error		reason;
	M3Status	status;

	if (snprintf(path, sizeof(path), "%s/" M3_REGISTRY_FILE, run->options->root) >=
		(int) sizeof(path))
		return m3_error(err, M3_INVALID, "path of the root is too long");
	memset(&reason, 0, sizeof(reason));
	status = registry_read(run->env, run->memory, path, &run->registry, &reason);
	run->has_registry = status == M3_OK;
	if (status == M3_CORRUPT || status == M3_UNSUPPORTED)
	{
		points_warn(run, path, reason.offset, "%s; all namespaces are shown", reason.message);
		return M3_OK;
	}
	if (status != M3_OK && status != M3_NOT_FOUND)
	{
		if (err != NULL)
			*err = reason;
		return status;
	}
	return M3_OK;
}

M3Status
points_write(M3Env *env, M3Memory *memory, const PointsOptions *options, FILE *out,
			 PointsWarnFn warn, void *warn_context, PointsReport *report, M3Error *err)
{
	PointsRun	run = {
		.env = env,.memory = memory,.options = options,.warn = warn,
		.warn_context = warn_context,.report = report
	};
	M3Status	status;

	memset(report, 0, sizeof(*report));
	text_init(&run.key, memory);
	text_init(&run.value, memory);
	text_init(&run.entry, memory);
	M3_GOTO(root_check(env, options->root, err));
	M3_GOTO(read_registry(&run, err));
	run.as_m3 = options->annotations == POINTS_ANNOTATIONS_M3 ||
		(options->annotations == POINTS_ANNOTATIONS_AUTO && !run.has_registry);
	M3_GOTO(sorter_create(env, memory, options->memory_size, &run.sorter, err));
	M3_GOTO(points_collect_filesets(&run, M3_FILESET_KIND_DATA, err));
	M3_GOTO(points_collect_filesets(&run, M3_FILESET_KIND_SNAPSHOT, err));
	M3_GOTO(points_collect_logs(&run, err));
	M3_GOTO(sorter_finish(run.sorter, err));
	M3_GOTO(points_print(&run, out, err));
	if (fflush(out) != 0)
		M3_GOTO(m3_error_io(err, errno, "output", "write"));
	sorter_stats(run.sorter, &report->sort);
done:
	sorter_free(run.sorter);
	for (size_t i = 0; i < run.namespace_count; i++)
		m3_free(memory, run.namespaces[i].name);
	m3_free(memory, run.namespaces);
	registry_free(&run.registry);
	text_free(&run.key);
	text_free(&run.value);
	text_free(&run.entry);
	return status;
}
