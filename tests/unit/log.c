#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"

static int
enter_folder(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char *folder =
	    xasprintf("%s/outpost-log.XXXXXX", tmp != NULL ? tmp : "/tmp");

	if (mkdtemp(folder) == NULL || chdir(folder) == -1)
		return -1;
	*state = folder;
	return 0;
}

static int
leave_folder(void **state)
{
	char *command = xasprintf("rm -rf '%s'", (char *)*state);
	int result = chdir("/") == -1 || system(command) != 0;

	free(command);
	free(*state);
	return result;
}

static void
cleans_to(const char *text, const char *cleaned)
{
	char out[200];

	assert_ptr_equal(log_clean(out, sizeof(out), text), out);
	assert_string_equal(out, cleaned);
}

static void
plain_text_and_utf8_stay(void **state)
{
	(void)state;
	cleans_to("", "");
	cleans_to("status=sent (250 2.0.0 OK <a@b> [c] 100% \\n)",
	    "status=sent (250 2.0.0 OK <a@b> [c] 100% \\n)");
	cleans_to("j\xc3\xb6rg \xe2\x82\xac \xf0\x9f\x93\xa7 \xc2\xa0.",
	    "j\xc3\xb6rg \xe2\x82\xac \xf0\x9f\x93\xa7 \xc2\xa0.");
	cleans_to(
	    "\xf4\x8f\xbf\xbf \xed\x9f\xbf", "\xf4\x8f\xbf\xbf \xed\x9f\xbf");
}

static void
no_control_character_gets_through(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char text[] = { 'a', (char)c, 'b', '\0' }, out[20];
		bool printable = c >= ' ' && c < 0x7f;

		log_clean(out, sizeof(out), text);
		if (printable)
			assert_string_equal(out, text);
		else if (strlen(out) < 4)
			fail_msg("byte %d became '%s'", c, out);
		for (const char *p = out; *p != '\0'; p++)
			assert_true(*p >= ' ' && *p < 0x7f);
		assert_int_equal(out[0], 'a');
		assert_int_equal(out[strlen(out) - 1], 'b');
	}
}

static void
terminals_are_not_steered(void **state)
{
	(void)state;
	cleans_to("\033[2Jx", "\\033[2Jx");
	cleans_to("\033]0;title\a", "\\033]0;title\\a");
	cleans_to(
	    "a\r\nJan  1 00:00:00 forged", "a\\r\\nJan  1 00:00:00 forged");
	cleans_to("a\tb\x7f", "a\\tb\\177");
	cleans_to("\xc2\x9b"
		  "31m",
	    "\\302\\233"
	    "31m");
	cleans_to("\xc2\x80\xc2\x9f", "\\302\\200\\302\\237");
	cleans_to("\x9b"
		  "31m",
	    "\\233"
	    "31m");
}

static void
what_is_not_utf8_is_made_visible(void **state)
{
	(void)state;
	cleans_to("\xc3", "\\303");
	cleans_to("\xc3(", "\\303(");
	cleans_to("\xe2\x82", "\\342\\202");
	cleans_to("\xf0\x9f\x93", "\\360\\237\\223");
	cleans_to("\xc0\x8a", "\\300\\212");
	cleans_to("\xe0\x80\x8a", "\\340\\200\\212");
	cleans_to("\xed\xa0\x80", "\\355\\240\\200");
	cleans_to("\xf4\x90\x80\x80", "\\364\\220\\200\\200");
	cleans_to("\xff\xfe", "\\377\\376");
	cleans_to("\xe2\x82\xc3\xa4", "\\342\\202\xc3\xa4");
}

static void
cut_falls_between_characters(void **state)
{
	char out[8];

	(void)state;
	memset(out, 'X', sizeof(out));
	assert_string_equal(log_clean(out, 5, "abcdef"), "abcd");
	assert_int_equal(out[5], 'X');
	assert_string_equal(log_clean(out, 5, "abc\xc3\xa4"), "abc");
	assert_string_equal(log_clean(out, 6, "abc\xc3\xa4"), "abc\xc3\xa4");
	assert_string_equal(log_clean(out, 5, "\033\033"), "\\033");
	assert_string_equal(log_clean(out, 4, "\033"), "");
	assert_string_equal(log_clean(out, 1, "abc"), "");
	out[0] = 'Y';
	log_clean(out, 0, "abc");
	assert_int_equal(out[0], 'Y');
}

/* What is in the file "log". */
static char *
written(void)
{
	struct error err;
	struct buf out;

	buf_init(&out, 100000);
	assert_int_equal(file_read("log", &out, &err), 0);
	return buf_steal(&out);
}

/* "2026-01-31T12:00:00+0000 " */
#define STAMP 25

static void
is_line(const char *line, const char *program, const char *text)
{
	char *want = xasprintf("%s[%ld]: %s\n", program, (long)getpid(), text);

	assert_true(strlen(line) >= STAMP);
	assert_int_equal(line[4], '-');
	assert_int_equal(line[10], 'T');
	assert_int_equal(line[STAMP - 1], ' ');
	assert_string_equal(line + STAMP, want);
	free(want);
}

static void
tag_is_a_name_and_no_more(void **state)
{
	static const struct {
		const char *text, *tag;
	} cases[] = {
		{ "nightly", "nightly" },
		{ "mail/backup-2.0_x+y@z", "mail/backup-2.0_x+y@z" },
		{ "100%n%s", "100ns" },
		{ "sshd[1]: a\nb\x1b[0m\t", "sshd1ab0m" },
		{ "\xc3\xa9\xff\x80", "" },
		{ "", "" },
		{ "0123456789012345678901234567890123456789",
		    "01234567890123456789012345678901" },
	};
	char out[LOG_TAG_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(log_tag(out, cases[i].text), cases[i].tag);
}

static void
existing_file_is_appended_to(void **state)
{
	char *text, *second;

	(void)state;
	close(open("log", O_CREAT | O_WRONLY, 0600));
	log_open(LOG_TO_FILE, "sendmail", "log");
	log_line(LOG_INFO, "%s to=<%s>", "Q1:", "a@b\r\nforged");
	log_open(LOG_TO_FILE, "submit", "log");
	log_line(LOG_ERR, "second");
	log_open(LOG_TO_NOTHING, "", NULL);
	log_line(LOG_ERR, "third");
	text = written();
	second = strchr(text, '\n');
	assert_non_null(second);
	is_line(second + 1, "submit", "second");
	second[1] = '\0';
	is_line(text, "sendmail", "Q1: to=<a@b\\r\\nforged>");
	free(text);
}

static void
long_lines_are_cut_at_two_kilobytes(void **state)
{
	char huge[10000], *text;
	size_t len;

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	close(open("log", O_CREAT | O_WRONLY, 0600));
	log_open(LOG_TO_FILE, "sendmail", "log");
	log_line(LOG_INFO, "%s", huge);
	memset(huge, '\033', sizeof(huge) - 1);
	log_line(LOG_INFO, "%s", huge);
	log_open(LOG_TO_NOTHING, "", NULL);
	text = written();
	len = strcspn(text, "\n");
	assert_int_equal(text[len], '\n');
	assert_true(len > 2000 && len < 2048 + 100);
	len = strcspn(text + len + 1, "\n");
	assert_true(len > 2000 && len < 2048 + 100);
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
}

static void
missing_file_is_not_made(void **state)
{
	(void)state;
	log_open(LOG_TO_FILE, "outpost-test", "log");
	log_line(LOG_DEBUG, "outpost's unit test of its log");
	assert_int_equal(access("log", F_OK), -1);
	log_open(LOG_TO_NOTHING, "", NULL);
}

static void
link_folder_and_fifo_are_not_written_to(void **state)
{
	struct stat status;

	(void)state;
	close(open("precious", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(symlink("precious", "log"), 0);
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	alarm(20);
	log_open(LOG_TO_FILE, "outpost-test", "log");
	log_line(LOG_DEBUG, "outpost's unit test of its log");
	log_open(LOG_TO_FILE, "outpost-test", "folder");
	log_line(LOG_DEBUG, "outpost's unit test of its log");
	log_open(LOG_TO_FILE, "outpost-test", "fifo");
	log_line(LOG_DEBUG, "outpost's unit test of its log");
	log_open(LOG_TO_NOTHING, "", NULL);
	alarm(0);
	assert_int_equal(stat("precious", &status), 0);
	assert_int_equal(status.st_size, 0);
}

static void
log_that_cannot_be_written_is_silent(void **state)
{
	(void)state;
	if (access("/dev/full", W_OK) == -1)
		skip();
	log_open(LOG_TO_FILE, "sendmail", "/dev/full");
	log_line(LOG_INFO, "lost");
	log_open(LOG_TO_NOTHING, "", NULL);
}

static void
standard_error_gets_the_same_lines(void **state)
{
	int fd = open("log", O_CREAT | O_WRONLY, 0600);
	int saved = dup(STDERR_FILENO);
	char *text;

	(void)state;
	dup2(fd, STDERR_FILENO);
	log_open(LOG_TO_STDERR, "mailq", NULL);
	log_line(LOG_WARNING, "100%% of \033 %d", 7);
	log_open(LOG_TO_NOTHING, "", NULL);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd);
	text = written();
	is_line(text, "mailq", "100% of \\033 7");
	free(text);
}

static void
file_is_not_left_to_a_child(void **state)
{
	int status;

	(void)state;
	close(open("log", O_CREAT | O_WRONLY, 0600));
	log_open(LOG_TO_FILE, "sendmail", "log");
	status = system("ls -l /proc/self/fd | grep -q outpost-log");
	log_open(LOG_TO_NOTHING, "", NULL);
	assert_int_equal(WEXITSTATUS(status), 1);
}

static void
standard_error_that_nobody_reads_stops_nothing(void **state)
{
	int pipes[2], stderr_before = dup(STDERR_FILENO), size;
	char *fill;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	size = fcntl(pipes[1], F_SETPIPE_SZ, 4096);
	fill = xcalloc(1, (size_t)size);
	assert_int_equal(file_write_all(pipes[1], fill, (size_t)size), 0);
	dup2(pipes[1], STDERR_FILENO);
	log_open(LOG_TO_STDERR, "test", NULL);
	log_line(LOG_INFO, "lost");
	assert_int_equal(
	    file_read_some(pipes[0], fill, (size_t)size), (ssize_t)size);
	log_line(LOG_INFO, "read");
	fill[file_read_some(pipes[0], fill, (size_t)size - 1)] = '\0';
	dup2(stderr_before, STDERR_FILENO);
	log_open(LOG_TO_NOTHING, "test", NULL);
	is_line(fill, "test", "read");
	free(fill);
	close(stderr_before);
	close(pipes[0]);
	close(pipes[1]);
}

#define IN_FOLDER(test)                                                        \
	cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_and_utf8_stay),
		cmocka_unit_test(no_control_character_gets_through),
		cmocka_unit_test(terminals_are_not_steered),
		cmocka_unit_test(what_is_not_utf8_is_made_visible),
		cmocka_unit_test(cut_falls_between_characters),
		cmocka_unit_test(tag_is_a_name_and_no_more),
		IN_FOLDER(existing_file_is_appended_to),
		IN_FOLDER(long_lines_are_cut_at_two_kilobytes),
		IN_FOLDER(missing_file_is_not_made),
		IN_FOLDER(link_folder_and_fifo_are_not_written_to),
		IN_FOLDER(log_that_cannot_be_written_is_silent),
		IN_FOLDER(standard_error_gets_the_same_lines),
		IN_FOLDER(file_is_not_left_to_a_child),
		cmocka_unit_test(
		    standard_error_that_nobody_reads_stops_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
