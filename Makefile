# pgtopic: events in PostgreSQL.  Built with PGXS; see README.md.

EXTENSION = pgtopic
MODULE_big = pgtopic
DATA = $(wildcard pgtopic--*.sql)
PGFILEDESC = "pgtopic - event streaming in PostgreSQL"

SRCS = $(sort $(wildcard src/*.c src/*/*.c src/*/*/*.c))
OBJS = $(SRCS:.c=.o)

PG_CPPFLAGS = -I$(CURDIR)/src -I$(libpq_srcdir)
PG_CFLAGS = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -Wno-declaration-after-statement -Wmissing-prototypes $(if $(WERROR),-Werror)
SHLIB_LINK = $(libpq) -llz4 -lzstd -lsnappy -lz -lssl -lcrypto

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --inputdir=. --temp-config=test/regress.conf
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test

# Bitcode for JIT inlining is of no use to table access methods and workers.
override with_llvm := no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PGXS tracks headers only when the server was configured with --enable-depend.
override CFLAGS += -MMD -MP
-include $(OBJS:.o=.d)
EXTRA_CLEAN += $(OBJS:.o=.d) $(OBJS:.o=.bc)

check-unit:
	$(MAKE) -C test/unit check PG_CONFIG=$(PG_CONFIG)

check-sim:
	$(MAKE) -C test/sim check PG_CONFIG=$(PG_CONFIG)

lint:
	test/lint/run

.PHONY: check-unit check-sim lint
