EXTENSION = m3db_fdw
MODULE_big = m3db_fdw
PGFILEDESC = "m3db_fdw - M3DB's storage engine inside PostgreSQL"
DATA = m3db_fdw--1.0.sql

# Where a VPATH build finds the sources.
top = $(if $(srcdir),$(srcdir),.)

# The engine, without the environment and allocator of tools and tests.
STORAGE_OBJS = $(filter-out storage/base/env_posix.o storage/base/memory.o, \
	$(patsubst $(top)/%.c,%.o,$(sort $(wildcard $(top)/storage/*/*.c))))
FDW_OBJS = $(patsubst $(top)/%.c,%.o,$(sort $(wildcard $(top)/fdw/*.c)))
FUNCTIONS_OBJS = $(patsubst $(top)/%.c,%.o,$(sort $(wildcard $(top)/functions/*.c)))
SERVER_OBJS = \
	server/database.o \
	server/drop.o \
	server/env_pg.o \
	server/error.o \
	server/guc.o \
	server/jobs.o \
	server/memory.o \
	server/mount.o \
	server/relief.o \
	server/requests.o \
	server/rows.o \
	server/shmem.o \
	server/storage_views.o \
	server/views.o \
	server/worker.o
OBJS = \
	m3db_fdw.o \
	$(FDW_OBJS) \
	$(FUNCTIONS_OBJS) \
	$(SERVER_OBJS) \
	$(STORAGE_OBJS)

PG_CPPFLAGS = -I$(top)
PG_CFLAGS = -std=gnu11 -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-declaration-after-statement -Wno-missing-field-initializers
SHLIB_LINK += -ldeflate -lxxhash -lm -Wl,-Bsymbolic

TESTS = $(sort $(wildcard $(top)/sql/*.sql))
REGRESS = $(patsubst $(top)/sql/%.sql,%,$(TESTS))
REGRESS_OPTS = --temp-instance=tmp_regress \
	--temp-config=$(top)/test/m3db.conf --load-extension=m3db_fdw
ISOLATION = $(patsubst $(top)/specs/%.spec,%,$(sort $(wildcard $(top)/specs/iso_*.spec)))
ISOLATION_OPTS = --temp-instance=tmp_isolation \
	--temp-config=$(top)/test/m3db.conf --load-extension=m3db_fdw
TAP_TESTS = 1
# Tests use tags outside ASCII.
ENCODING = UTF8

DEPS = $(OBJS:.o=.d)
EXTRA_CLEAN = $(DEPS) tmp_regress tmp_isolation output_iso

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PGXS knows nothing of headers: without these, a changed one leaves stale objects.
$(OBJS): override CFLAGS += -MMD -MP
-include $(wildcard $(DEPS))

# The codec must round the same everywhere; strictness ends at the server's headers.
$(STORAGE_OBJS): override CFLAGS += -ffp-contract=off -Wconversion -Wsign-compare \
	-Wno-suggest-attribute=format
override BITCODE_CFLAGS += -ffp-contract=off

.PHONY: unit fuzz tools bench lint
unit fuzz tools bench:
	$(MAKE) -C $(top)/test $@

lint:
	$(top)/scripts/lint.sh
