# Outpost: sendmail for Microsoft 365.
#
#   make            the programs, in build/
#   make test       every test (installs what it needs on Debian)
#   make demo       the product in a minute
#   make SAN=1 …    the same with AddressSanitizer and UBSan, in build/san/
#   make install    DESTDIR= PREFIX=
#   make deb        the Debian package, in build/deb

VERSION = 1.0.0~rc1
PREFIX = /usr
LIBEXECDIR = $(PREFIX)/libexec/outpost
MANDIR = $(PREFIX)/share/man
MAILQ = $(PREFIX)/bin/mailq
DOCDIR = $(PREFIX)/share/doc/outpost

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
CFLAGS_BASE := $(call pkg,--cflags libbsd-overlay)
LIBS_BASE := $(call pkg,--libs libbsd-overlay inih)
LIBS_SSL := $(call pkg,--libs openssl)
LIBS_HTTP := $(call pkg,--libs libcurl jansson)
LIBS_TEST := $(LIBS_BASE) $(LIBS_SSL) $(LIBS_HTTP) $(call pkg,--libs cmocka)
CPPFLAGS_ALL = -Ilib -I. -I$B -include lib/base/banned.h -D_GNU_SOURCE \
	-DLIBBSD_OPENBSD_VIS -DOUTPOST_VERSION='"$(VERSION)"' \
	-DOUTPOST_LIBEXECDIR='"$(LIBEXECDIR)"' \
	-DOUTPOST_SANITIZED=$(if $(SAN),1,0) \
	-DOUTPOST_MAILQ='"$(MAILQ)"' \
	$(CFLAGS_BASE) $(CPPFLAGS)
CFLAGS_ALL = -std=c11 $(WARN) $(HARDEN) $(SANFLAGS) $(CFLAGS) $(WERROR)
LDFLAGS_ALL = $(HARDEN_LD) $(SANFLAGS) $(LDFLAGS)

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

# The commented sample, of which 'outpost init' makes a configuration.
$B/sample.h: etc/outpost.conf
	@mkdir -p $(@D)
	sed 's/\\/&&/g; s/"/\\"/g; s/.*/"&",/' $< >$@
$B/obj/outpost/init.o: $B/sample.h

-include $(shell find $B/obj -name '*.d' 2>/dev/null)

# Tests, one program a file.
UNIT = $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/*.c))
FUZZ = $(patsubst tests/fuzz/%.c,$B/fuzz/%,\
	$(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
$B/unit/%: $B/obj/tests/unit/%.o $B/liboutpost.a
	@mkdir -p $(@D)
	$(link) $(LIBS_TEST)
$B/dialogue/play: $B/obj/tests/dialogue/play.o $B/liboutpost.a
	@mkdir -p $(@D)
	$(link) $(LIBS_TEST)
$B/fuzz/%: $B/obj/tests/fuzz/%.o $B/obj/tests/fuzz/replay.o $B/liboutpost.a
	@mkdir -p $(@D)
	$(link) $(LIBS_TEST)
$B/rows: $B/obj/tests/source/rows.o $B/liboutpost.a
	$(link) $(LIBS_TEST)
.PRECIOUS: $B/obj/%.o

units: $(UNIT) $(FUZZ) $B/dialogue/play $B/rows

# Each of these is enough by itself on a fresh Debian: what is missing is
# installed first, and only then can make know the libraries' flags.
test:
	@tests/need build test
	@$(MAKE) --no-print-directory test-run
	@$(MAKE) --no-print-directory test-run SAN=1
test-run: all units
	tests/run $B
demo:
	@tests/need build demo
	@$(MAKE) --no-print-directory -s all
	@/usr/bin/python3 tests/demo.py $B
bench:
	@tests/need build bench
	@$(MAKE) --no-print-directory -s all
	/usr/bin/python3 tests/bench/send.py $B
	/usr/bin/python3 tests/bench/queue.py $B
# Killed at every system call, any write refused: two minutes.
crash:
	@tests/need build test
	@$(MAKE) --no-print-directory -s all
	OUTPOST_CRASH=all OUTPOST_BUILD=$B PYTHONPATH=tests \
	    PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q \
	    -p no:cacheprovider tests/e2e/test_crash.py
check:
	@tests/need build test check
	@$(MAKE) --no-print-directory all units
	tests/check

# A target of clang's fuzzer, to be run by hand:
#	make fuzz/address && build/fuzzer/address tests/fuzz/corpus/address
fuzz/%:
	@mkdir -p build/fuzzer
	clang $(CPPFLAGS_ALL) -g -O1 -fsanitize=fuzzer,address,undefined \
		-o build/fuzzer/$* tests/fuzz/$*.c $(LIB_SRC) $(LIBS_TEST)

INSTALL = install
install: all
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin \
		$(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(MANDIR)/man5 \
		$(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(DOCDIR)
	$(INSTALL) -m 755 $B/sendmail $(DESTDIR)$(PREFIX)/sbin/sendmail
	$(INSTALL) -m 755 $B/mailq $B/outpost $(DESTDIR)$(PREFIX)/bin
	ln -sf ../sbin/sendmail $(DESTDIR)$(PREFIX)/bin/newaliases
	$(INSTALL) -m 755 $B/submit $B/token $(DESTDIR)$(LIBEXECDIR)
	$(INSTALL) -m 644 man/*.5 $(DESTDIR)$(MANDIR)/man5
	$(INSTALL) -m 644 man/*.8 $(DESTDIR)$(MANDIR)/man8
	$(INSTALL) -m 644 README.md etc/outpost.conf etc/aliases \
		$(DESTDIR)$(DOCDIR)

# The Debian package, in build/deb: made from a copy, so that the tree is as it
# was.
deb:
	@tests/need build deb
	rm -rf build/deb && mkdir -p build/deb/outpost
	git ls-files -z | xargs -0 cp --parents -t build/deb/outpost
	cd build/deb/outpost && dpkg-buildpackage -us -uc -b
	rm -r build/deb/outpost
# The package on a fresh machine, which needs root and the package archive.
deb-test:
	@tests/need build deb deb-test
	PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest \
	    -q -p no:cacheprovider tests/package

clean:
	rm -rf build

FORCE:
.PHONY: all units test test-run demo bench crash check deb deb-test \
	install clean FORCE
