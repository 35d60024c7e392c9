#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error.h"
#include "base/xalloc.h"
#include "queue/spool.h"

static int
make_folder(void **state)
{
	char *folder = xstrdup("/tmp/spool-test-XXXXXX");

	*state = mkdtemp(folder);
	return *state == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
	int result = rmdir(*state);

	free(*state);
	return result;
}

static size_t
entries(const char *folder)
{
	DIR *dir = opendir(folder);
	size_t count = 0;

	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count - 2;
}

static char *
content_of(const struct spool *s)
{
	char *text = xcalloc(s->size + 1, 1);

	assert_int_equal(pread(s->fd, text, s->size, 0), s->size);
	return text;
}

static void
what_is_written_can_be_read_and_has_no_name(void **state)
{
	struct spool s;
	char *text;

	spool_init(&s);
	assert_int_equal(spool_open(&s, *state, NULL), 0);
	assert_int_equal(spool_write(&s, "one\r\n", 5, NULL), 0);
	assert_int_equal(spool_write(&s, "two\r\n", 5, NULL), 0);
	assert_int_equal(s.size, 10);
	text = content_of(&s);
	assert_string_equal(text, "one\r\ntwo\r\n");
	assert_int_equal(entries(*state), 0);
	free(text);
	spool_release(&s);
}

static void
only_its_owner_may_read_it(void **state)
{
	struct spool s;
	struct stat status;

	spool_init(&s);
	assert_int_equal(spool_open(&s, *state, NULL), 0);
	assert_int_equal(fstat(s.fd, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	spool_release(&s);
}

static void
without_its_folder_it_lies_in_var_tmp(void **state)
{
	struct spool s;

	(void)state;
	spool_init(&s);
	assert_int_equal(spool_open(&s, "/nonexistent", NULL), 0);
	assert_int_equal(spool_write(&s, "x", 1, NULL), 0);
	spool_release(&s);
}

static void
it_gets_a_name_when_it_must_wait(void **state)
{
	char *path = xasprintf("%s/kept", (char *)*state);
	struct spool s;

	spool_init(&s);
	assert_int_equal(spool_open(&s, *state, NULL), 0);
	assert_int_equal(spool_write(&s, "one\r\n", 5, NULL), 0);
	assert_true(s.queueable);
	assert_int_equal(spool_link(&s, path), 0);
	assert_int_equal(spool_link(&s, path), -1);
	assert_int_equal(errno, EEXIST);
	spool_release(&s);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(entries(*state), 1);
	assert_int_equal(unlink(path), 0);
	free(path);
}

static void
what_lies_elsewhere_cannot_wait(void **state)
{
	char *path = xasprintf("%s/kept", (char *)*state);
	struct spool s;

	spool_init(&s);
	assert_int_equal(spool_open(&s, "/nonexistent", NULL), 0);
	assert_false(s.queueable);
	assert_int_equal(spool_link(&s, path), -1);
	assert_int_equal(entries(*state), 0);
	spool_release(&s);
	free(path);
}

/* Unnamed files need support of the file system; /proc has none, and takes
 * no named ones either. */
static void
a_folder_that_takes_no_files_is_passed_over(void **state)
{
	struct spool s;

	(void)state;
	spool_init(&s);
	assert_int_equal(spool_open(&s, "/proc", NULL), 0);
	spool_release(&s);
}

static void
a_disk_that_takes_no_more_is_told(void **state)
{
	const struct rlimit none = { 4, 4 };
	struct rlimit before;
	struct spool s;
	struct error err;

	spool_init(&s);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(spool_open(&s, *state, NULL), 0);
	assert_int_equal(
	    setrlimit(RLIMIT_FSIZE,
		&(struct rlimit){ none.rlim_cur, before.rlim_max }),
	    0);
	assert_int_equal(spool_write(&s, "12345678", 8, &err), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(err.exit_code, EX_IOERR);
	assert_int_equal(err.class, ERROR_RETRY);
	assert_true(err.hint[0] != '\0');
	spool_release(&s);
}

static void
long_lines_are_broken_when_asked(void **state)
{
	char line[3000];
	struct spool s;
	char *text;

	memset(line, 'x', sizeof(line));
	spool_init(&s);
	assert_int_equal(spool_open(&s, *state, NULL), 0);
	assert_int_equal(spool_write(&s, "a\r\n", 3, NULL), 0);
	assert_int_equal(spool_write(&s, line, sizeof(line), NULL), 0);
	assert_int_equal(spool_write(&s, "\r\nb: c\r\n", 8, NULL), 0);
	assert_int_equal(spool_rewrite(&s, *state, CONTENT_BREAK, NULL), 0);
	text = content_of(&s);
	for (char *at = text, *end; *at != '\0'; at = end + 2) {
		end = strstr(at, "\r\n");
		assert_non_null(end);
		assert_true(end - at <= (long)CONTENT_LINE_MAX);
	}
	assert_memory_equal(text, "a\r\nxxx", 6);
	assert_string_equal(text + s.size - 6, "b: c\r\n");
	free(text);
	spool_release(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_can_be_read_and_has_no_name),
		cmocka_unit_test(only_its_owner_may_read_it),
		cmocka_unit_test(it_gets_a_name_when_it_must_wait),
		cmocka_unit_test(what_lies_elsewhere_cannot_wait),
		cmocka_unit_test(without_its_folder_it_lies_in_var_tmp),
		cmocka_unit_test(a_folder_that_takes_no_files_is_passed_over),
		cmocka_unit_test(a_disk_that_takes_no_more_is_told),
		cmocka_unit_test(long_lines_are_broken_when_asked),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
