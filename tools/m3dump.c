/*
 * m3dump: prints and checks the files of M3DB and of m3db_fdw, without a server.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/env_posix.h"
#include "tools/points.h"
#include "tools/show.h"
#include "tools/text.h"
#include "tools/verify.h"

#define EXIT_CANNOT_RUN 3
#define MAX_BLOCK_SIZES 64

static const char usage[] =
"m3dump reads the files of M3DB and m3db_fdw. It never writes to them.\n"
"\n"
"Usage:\n"
"  m3dump show [--limit N] FILE           one file, decoded\n"
"  m3dump verify [OPTION]... ROOT         checks everything under a root\n"
"  m3dump points [OPTION]... ROOT         every point, as CSV or JSON lines\n"
"  m3dump COMMAND --help                  more about a command\n"
"\n"
"A root is the directory with data, snapshots and commitlogs in it: M3DB's filePathPrefix, or\n"
"m3db/<database oid> inside a PostgreSQL data directory.\n"
"\n"
"Exit codes: 0 all is well; 1 findings that lose nothing, or warnings; 2 damage; 3 it could\n"
"not run (bad arguments, unreadable files, no memory).\n";

static const char show_help[] =
"Usage: m3dump show [--limit N] FILE\n"
"\n"
"Prints one file, recognised by its name or else by its content:\n"
"  commit logs           every entry and marker with the chunk and group it is in, series\n"
"                        where they first appear, and how the log ends\n"
"  fileset files         info, index, summaries, bloomfilter, digest, checkpoint; data with\n"
"                        the index beside it, series by series, decoded\n"
"  snapshot metadata     and its checkpoint\n"
"  namespaces            the registry of m3db_fdw\n"
"\n"
"Options:\n"
"  -l, --limit N         print at most N entries, series or ids, and N points of each\n"
"                        series; 0 is all (default 20)\n"
"\n"
"Numbers at the left are byte positions, or entry numbers in a log. A damaged file is shown\n"
"up to the damage, which is then described on standard error, with exit code 2.\n";

static const char verify_help[] =
"Usage: m3dump verify [OPTION]... ROOT\n"
"\n"
"Reads every byte under ROOT: registry, data filesets, snapshots, snapshot metadata, commit\n"
"logs. Checks all digests and checksums, decodes every stream, and checks the order of series\n"
"and points, block alignment, names against contents, and (the number of shards being known)\n"
"the shard of each id.\n"
"\n"
"Options:\n"
"  -l, --limit N         show at most N findings about series of one fileset; 0 is all\n"
"                        (default 10; all are counted)\n"
"  -q, --quiet           findings only, no summary\n"
"  -s, --shards N        number of shards; default: the registry's, else not checked\n"
"  -S, --seed SEED       hash seed of the shards (default 0)\n"
"\n"
"Each finding is one line:\n"
"  damage|note FILE@OFFSET: what it is: what follows from it\n"
"\n"
"A note loses nothing: a torn tail or blank log after a crash, an unfinished flush, an orphan\n"
"snapshot, damage that something else makes up for. Damage means that points are lost, or that\n"
"a server would not find them. Superseded volumes that only wait for cleanup are no finding.\n"
"\n"
"Exit codes: 0 no findings, 1 notes only, 2 damage, 3 could not run.\n";

static const char points_help[] =
"Usage: m3dump points [OPTION]... ROOT\n"
"\n"
"Prints every point that a reader would see after recovery, sorted by namespace, id and time.\n"
"A commit log goes before a snapshot before a data fileset, later entries of logs before\n"
"earlier ones. Retention is not applied. What is damaged is left out with a warning on standard\n"
"error; nothing is guessed.\n"
"\n"
"Options:\n"
"  -n, --namespace NAME  only this namespace, also one the registry does not know\n"
"  -f, --format FORMAT   csv (default) or jsonl\n"
"      --from TIME       points at or after TIME\n"
"      --to TIME         points before TIME\n"
"  -m, --memory SIZE     memory for sorting, such as 64MB (default 256MB); the rest goes to\n"
"                        temporary files in $TMPDIR, else /tmp\n"
"  -a, --annotations HOW all: of log entries every one; m3: only those M3 shows, which leaves\n"
"                        repeated ones out. Default: all if the root has m3db_fdw's registry,\n"
"                        else m3\n"
"  -b, --block-size [NAMESPACE=]DURATION\n"
"                        block size of a namespace that has nothing but M3DB's logs, which do\n"
"                        not tell (default 2h); it decides which annotations are repeated\n"
"\n"
"TIME is nanoseconds since 1970 or UTC like 2024-03-05T10:00:00.5; DURATION is like 1h30m.\n"
"\n"
"Columns: namespace, id, tags (a JSON object in stored order), timestamp_ns, value (17 digits;\n"
"NaN, Inf, -Inf), value_bits (the double in hexadecimal), unit (s, ms, us, ns), annotation\n"
"(base64). CSV is RFC 4180. In JSON lines NaN and the infinities are strings, and bytes that\n"
"are not UTF-8 are lone surrogates U+DC00 + byte.\n"
"\n"
"Exit codes: 0 all points printed, 1 with warnings, 3 could not run.\n";

/* Says what is wrong with the arguments. */
static int
bad_usage(const char *what, const char *value)
{
	fprintf(stderr, "m3dump: %s%s%s\nTry \"m3dump --help\".\n", what,
			value == NULL ? "" : ": ", value == NULL ? "" : value);
	return EXIT_CANNOT_RUN;
}

static void
print_error(const M3Error *err)
{
	fputs("m3dump: ", stderr);
	if (err->file[0] != '\0')
		fprintf(stderr, "%s", err->file);
	if (err->file[0] != '\0' && err->offset >= 0)
		fprintf(stderr, "@%" PRId64, err->offset);
	fprintf(stderr, "%s%s", err->file[0] == '\0' ? "" : ": ", err->message);
	if (err->sys_errno != 0)
		fprintf(stderr, ": %s", strerror(err->sys_errno));
	else if (err->status == M3_NOT_FOUND && err->file[0] != '\0')
		fputs(": it does not exist", stderr);
	fputc('\n', stderr);
}

static bool
parse_number(const char *text, uint64_t max, uint64_t *number)
{
	char	   *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *number <= max;
}

/* The one argument after the options, or NULL. */
static const char *
only_argument(int argc, char **argv)
{
	return optind == argc - 1 ? argv[optind] : NULL;
}

/* The same for a root: without slashes at its end. */
static const char *
root_argument(int argc, char **argv)
{
	char	   *root = optind == argc - 1 ? argv[optind] : NULL;

	for (size_t size = root == NULL ? 0 : strlen(root); size > 1 && root[size - 1] == '/'; size--)
		root[size - 1] = '\0';
	return root;
}

static int
run_show(M3Env *env, int argc, char **argv)
{
	static const struct option long_options[] = {
		{"limit", required_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'}, {0}
	};
	ShowOptions options = {.limit = SHOW_DEFAULT_LIMIT};
	const char *path;
	M3Error		err;
	M3Status	status;
	int			c;

	while ((c = getopt_long(argc, argv, "l:h", long_options, NULL)) != -1)
	{
		if (c == 'h')
			return fputs(show_help, stdout) == EOF;
		if (c != 'l')
			return EXIT_CANNOT_RUN;
		if (!parse_number(optarg, UINT64_MAX, &options.limit))
			return bad_usage("not a number", optarg);
	}
	path = only_argument(argc, argv);
	if (path == NULL)
		return bad_usage("show needs one file", NULL);
	memset(&err, 0, sizeof(err));
	status = show_file(env, &m3_memory_malloc, path, &options, stdout, &err);
	if (status == M3_OK)
		return 0;
	if (err.file[0] == '\0')
	{
		snprintf(err.file, sizeof(err.file), "%s", path);
		err.offset = -1;
	}
	print_error(&err);
	return status == M3_CORRUPT ? VERIFY_DAMAGE : EXIT_CANNOT_RUN;
}

static void
print_finding(void *context, VerifySeverity severity, const char *file, int64_t offset,
			  const char *what, const char *consequence)
{
	(void) context;
	printf("%s %s", severity == VERIFY_DAMAGE ? "damage" : "note", file);
	if (offset >= 0)
		printf("@%" PRId64, offset);
	printf(": %s: %s\n", what, consequence);
}

static int
run_verify(M3Env *env, int argc, char **argv)
{
	static const struct option long_options[] = {
		{"limit", required_argument, NULL, 'l'}, {"quiet", no_argument, NULL, 'q'},
		{"shards", required_argument, NULL, 's'}, {"seed", required_argument, NULL, 'S'},
		{"help", no_argument, NULL, 'h'}, {0}
	};
	VerifyOptions options;
	VerifyReport report;
	bool		quiet = false;
	uint64_t	number;
	M3Error		err;
	int			c;

	verify_options_default(&options);
	while ((c = getopt_long(argc, argv, "l:qs:S:h", long_options, NULL)) != -1)
	{
		if (c == 'h')
			return fputs(verify_help, stdout) == EOF;
		if (c == 'q')
		{
			quiet = true;
			continue;
		}
		if (c == '?')
			return EXIT_CANNOT_RUN;
		if (!parse_number(optarg, c == 'l' ? SIZE_MAX : UINT32_MAX, &number) ||
			(c == 's' && number == 0))
			return bad_usage("not a number that fits", optarg);
		if (c == 'l')
			options.limit = (size_t) number;
		else if (c == 's')
		{
			options.has_shards = true;
			options.shard_count = (uint32_t) number;
		}
		else
			options.hash_seed = (uint32_t) number;
	}
	options.root = root_argument(argc, argv);
	if (options.root == NULL)
		return bad_usage("verify needs one root", NULL);
	memset(&err, 0, sizeof(err));
	if (verify_root(env, &m3_memory_malloc, &options, print_finding, NULL, &report, &err) != M3_OK)
	{
		print_error(&err);
		return EXIT_CANNOT_RUN;
	}
	if (!quiet)
		printf("%" PRIu64 " filesets with %" PRIu64 " series and %" PRIu64 " points, %" PRIu64
			   " snapshot metadata, %" PRIu64 " logs with %" PRIu64 " entries: %" PRIu64
			   " damages, %" PRIu64 " notes\n", report.filesets, report.series, report.points,
			   report.metadata, report.logs, report.entries, report.damages, report.notes);
	return verify_exit_code(&report);
}

static void
print_warning(void *context, const char *file, int64_t offset, const char *message)
{
	(void) context;
	fprintf(stderr, "m3dump: warning: %s", file);
	if (file[0] != '\0' && offset >= 0)
		fprintf(stderr, "@%" PRId64, offset);
	fprintf(stderr, "%s%s\n", file[0] == '\0' ? "" : ": ", message);
}

/* "[NAMESPACE=]DURATION", taken apart in place. */
static bool
parse_block_size(char *text, PointsBlockSize *size)
{
	char	   *equals = strrchr(text, '=');

	size->name = NULL;
	if (equals != NULL)
	{
		*equals = '\0';
		size->name = text;
		text = equals + 1;
	}
	return text_parse_duration(text, &size->block_size_ns) &&
		size->block_size_ns >= INT64_C(1000000000) &&
		size->block_size_ns % INT64_C(1000000000) == 0;
}

/* NULL, or what is wrong. */
static const char *
set_points_option(PointsOptions *options, PointsBlockSize *sizes, int c)
{
	switch (c)
	{
		case 'n':
			options->namespace_name = optarg;
			return NULL;
		case 'f':
			options->format = strcmp(optarg, "jsonl") == 0 ? POINTS_JSONL : POINTS_CSV;
			return options->format == POINTS_JSONL || strcmp(optarg, "csv") == 0 ? NULL :
				"format is csv or jsonl, not";
		case 'F':
			return text_parse_time(optarg, &options->from_ns) ? NULL : "not a time";
		case 'T':
			return text_parse_time(optarg, &options->to_ns) ? NULL : "not a time";
		case 'm':
			return text_parse_size(optarg, &options->memory_size) ? NULL : "not a size";
		case 'a':
			options->annotations = strcmp(optarg, "m3") == 0 ? POINTS_ANNOTATIONS_M3 :
				POINTS_ANNOTATIONS_ALL;
			return strcmp(optarg, "m3") == 0 || strcmp(optarg, "all") == 0 ? NULL :
				"annotations are all or m3, not";
		default:
			if (options->block_size_count == MAX_BLOCK_SIZES)
				return "too many block sizes";
			return parse_block_size(optarg, &sizes[options->block_size_count++]) ? NULL :
				"not a duration of whole seconds";
	}
}

static int
run_points(M3Env *env, int argc, char **argv)
{
	static const struct option long_options[] = {
		{"namespace", required_argument, NULL, 'n'}, {"format", required_argument, NULL, 'f'},
		{"from", required_argument, NULL, 'F'}, {"to", required_argument, NULL, 'T'},
		{"memory", required_argument, NULL, 'm'}, {"annotations", required_argument, NULL, 'a'},
		{"block-size", required_argument, NULL, 'b'}, {"help", no_argument, NULL, 'h'}, {0}
	};
	PointsBlockSize sizes[MAX_BLOCK_SIZES];
	PointsOptions options;
	PointsReport report;
	M3Error		err;
	int			c;

	points_options_default(&options);
	options.block_sizes = sizes;
	while ((c = getopt_long(argc, argv, "n:f:m:a:b:h", long_options, NULL)) != -1)
	{
		const char *wrong;

		if (c == 'h')
			return fputs(points_help, stdout) == EOF;
		if (c == '?')
			return EXIT_CANNOT_RUN;
		wrong = set_points_option(&options, sizes, c);
		if (wrong != NULL)
			return bad_usage(wrong, optarg);
	}
	options.root = root_argument(argc, argv);
	if (options.root == NULL)
		return bad_usage("points needs one root", NULL);
	memset(&err, 0, sizeof(err));
	if (points_write(env, &m3_memory_malloc, &options, stdout, print_warning, NULL, &report,
					 &err) != M3_OK)
	{
		print_error(&err);
		return EXIT_CANNOT_RUN;
	}
	return report.warnings > 0;
}

int
main(int argc, char **argv)
{
	static const struct
	{
		const char *name;
		int			(*run) (M3Env *env, int argc, char **argv);
	}			commands[] = {
		{"show", run_show}, {"verify", run_verify}, {"points", run_points}
	};
	M3Env	   *env;
	int			code;

	if (argc < 2)
	{
		fputs(usage, stderr);
		return EXIT_CANNOT_RUN;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0)
		return fputs(usage, stdout) == EOF;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
	{
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		env = m3_env_posix_create(0);
		if (env == NULL)
			return bad_usage("out of memory", NULL);
		code = commands[i].run(env, argc - 1, argv + 1);
		m3_env_posix_destroy(env);
		return code;
	}
	return bad_usage("unknown command", argv[1]);
}
