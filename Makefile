# Outpost: sendmail for Microsoft 365.
#
#   make            the programs, in build/
#   make test       every test (installs what it needs on Debian)
#   make demo       the product in a minute
#   make SAN=1 …    the same with AddressSanitizer and UBSan, in build/san/
#   make install    DESTDIR= PREFIX=

VERSION = 1.0.0~dev
PREFIX = /usr
LIBEXECDIR = $(PREFIX)/libexec/outpost
MANDIR = $(PREFIX)/share/man

CC = gcc
CFLAGS = -O2 -g
PKG_CONFIG = pkg-config
B = build$(if $(SAN),/san)$(BUILD_SUFFIX)

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wvla -Wundef -Wwrite-strings -Wpointer-arith
HARDEN = -fPIE -fstack-protector-strong -fstack-clash-protection \
	$(if $(filter x86_64 i%86,$(shell uname -m)),-fcf-protection) \
	$(if $(SAN),,-D_FORTIFY_SOURCE=2)
HARDEN_LD = -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
SANFLAGS = $(if $(SAN),-fsanitize=address$(comma)undefined \
	-fno-sanitize-recover=all -fno-omit-frame-pointer)
comma = ,

# libbsd and inih everywhere; OpenSSL where SMTP or digests are; libcurl and
# jansson for outpost and token alone.
pkg = $(shell $(PKG_CONFIG) $(1) 2>/dev/null)
CPPFLAGS_ALL = -Ilib -I. -include lib/base/banned.h -D_GNU_SOURCE \
	-DLIBBSD_OPENBSD_VIS -DOUTPOST_VERSION='"$(VERSION)"' \
	-DOUTPOST_LIBEXECDIR='"$(LIBEXECDIR)"' \
	$(call pkg,--cflags libbsd-overlay) $(CPPFLAGS)
CFLAGS_ALL = -std=c11 $(WARN) $(HARDEN) $(SANFLAGS) $(CFLAGS) $(WERROR)
LDFLAGS_ALL = $(HARDEN_LD) $(SANFLAGS) $(LDFLAGS)
LIBS_BASE = $(call pkg,--libs libbsd-overlay inih)
LIBS_SSL = $(call pkg,--libs openssl)
LIBS_HTTP = $(call pkg,--libs libcurl jansson)

LIB_SRC = $(wildcard lib/*/*.c)
LIB_OBJ = $(LIB_SRC:%.c=$B/obj/%.o)
PROGRAMS = sendmail mailq outpost submit token
obj = $(patsubst %.c,$B/obj/%.o,$(wildcard $(1)))
SENDMAIL_OBJ = $(call obj,sendmail/*.c)
MAILQ_OBJ = $(call obj,mailq/*.c)
OUTPOST_OBJ = $(call obj,outpost/*.c)
SUBMIT_OBJ = $(call obj,libexec/submit.c)
TOKEN_OBJ = $(call obj,libexec/token.c)

all: $(PROGRAMS:%=$B/%) $B/newaliases

link = $(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(filter %.o %.a,$^)
$B/sendmail: $(SENDMAIL_OBJ) $B/liboutpost.a
	$(link) $(LIBS_BASE)
$B/mailq: $(MAILQ_OBJ) $B/liboutpost.a
	$(link) $(LIBS_BASE)
$B/submit: $(SUBMIT_OBJ) $B/liboutpost.a
	$(link) $(LIBS_BASE) $(LIBS_SSL)
$B/token: $(TOKEN_OBJ) $B/liboutpost.a
	$(link) $(LIBS_BASE) $(LIBS_SSL) $(LIBS_HTTP)
$B/outpost: $(OUTPOST_OBJ) $B/liboutpost.a
	$(link) $(LIBS_BASE) $(LIBS_SSL) $(LIBS_HTTP)
$B/newaliases: $B/sendmail
	ln -sf sendmail $@

$B/liboutpost.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

# Flags that change remake everything.
$B/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL)' | cmp -s - $@ || \
		echo '$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL)' > $@

$B/obj/%.o: %.c $B/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

-include $(shell find $B -name '*.d' 2>/dev/null)

# Tests, one program a file.
TEST_LIBS = $(LIBS_BASE) $(LIBS_SSL) $(LIBS_HTTP) $(call pkg,--libs cmocka)
UNIT = $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/*.c))
FUZZ = $(patsubst tests/fuzz/%.c,$B/fuzz/%,\
	$(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
$B/unit/%: $B/obj/tests/unit/%.o $B/liboutpost.a
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS)
$B/dialogue/play: $B/obj/tests/dialogue/play.o $B/liboutpost.a
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS)
$B/fuzz/%: $B/obj/tests/fuzz/%.o $B/obj/tests/fuzz/replay.o $B/liboutpost.a
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS)
.PRECIOUS: $B/obj/%.o

units: $(UNIT) $(FUZZ) $B/dialogue/play

clean:
	rm -rf build

FORCE:
.PHONY: all units clean FORCE
