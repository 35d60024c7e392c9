#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"

#define OTHER_UID 65534

/* Each test works in a new folder, which is its current one. */
static int
enter_folder(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char *folder =
	    xasprintf("%s/outpost-file.XXXXXX", tmp != NULL ? tmp : "/tmp");

	if (mkdtemp(folder) == NULL || chdir(folder) == -1)
		return -1;
	*state = folder;
	return 0;
}

static int
leave_folder(void **state)
{
	char *command = xasprintf(
	    "chmod -R u+rwx '%s'; rm -rf '%s'", (char *)*state, (char *)*state);
	int result = chdir("/") == -1 || system(command) != 0;

	free(command);
	free(*state);
	return result;
}

static void
put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
holds(const char *path, const char *text)
{
	struct error err;
	struct buf out;

	buf_init(&out, 100000);
	assert_int_equal(file_read(path, &out, &err), 0);
	assert_string_equal(out.data, text);
	buf_release(&out);
}

static mode_t
mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(lstat(path, &status), 0);
	return status.st_mode & 07777;
}

/* Files and folders in the current one. */
static int
entries(void)
{
	DIR *folder = opendir(".");
	int count = 0;

	assert_non_null(folder);
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count - 2;
}

static int
exit_of(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

static void
file_of_exactly_the_maximum_is_read(void **state)
{
	struct error err;
	struct buf out;

	(void)state;
	put("f", "0123456789", 0600);
	buf_init(&out, 10);
	assert_int_equal(file_read("f", &out, &err), 0);
	assert_string_equal(out.data, "0123456789");
	buf_release(&out);
}

static void
file_of_one_byte_more_is_refused_and_leaves_nothing(void **state)
{
	struct error err;
	struct buf out;

	(void)state;
	put("f", "0123456789", 0600);
	buf_init(&out, 12);
	buf_adds(&out, "abc");
	errno = ENOENT;
	assert_int_equal(file_read("f", &out, &err), -1);
	assert_int_not_equal(errno, ENOENT);
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_string_equal(err.text, "'f' is larger than 12 bytes");
	assert_string_equal(out.data, "abc");
	put("f", "012345678", 0600);
	assert_int_equal(file_read("f", &out, &err), 0);
	assert_string_equal(out.data, "abc012345678");
	buf_release(&out);
}

static void
large_and_binary_files_are_read_whole(void **state)
{
	const size_t size = 300 * 1000 + 7;
	char *bytes = xmalloc(size);
	struct error err;
	struct buf out;
	int fd;

	(void)state;
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 31 >> 3);
	fd = open("f", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(file_write_all(fd, bytes, size), 0);
	close(fd);
	buf_init(&out, 1000 * 1000);
	assert_int_equal(file_read("f", &out, &err), 0);
	assert_int_equal(out.len, size);
	assert_memory_equal(out.data, bytes, size);
	buf_release(&out);
	free(bytes);
}

static void
empty_file_is_read(void **state)
{
	struct error err;
	struct buf out;

	(void)state;
	put("f", "", 0600);
	buf_init(&out, 0);
	assert_int_equal(file_read("f", &out, &err), 0);
	assert_string_equal(out.data, "");
	buf_release(&out);
}

static void
missing_file_sets_enoent(void **state)
{
	struct error err;
	struct buf out;

	(void)state;
	buf_init(&out, 10);
	errno = 0;
	assert_int_equal(file_read("none", &out, &err), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_string_equal(
	    err.text, "cannot open 'none': No such file or directory");
	errno = 0;
	assert_int_equal(file_read_secret("none", false, &out, &err), -1);
	assert_int_equal(errno, ENOENT);
	buf_release(&out);
}

static void
what_is_no_regular_file_is_refused_without_waiting(void **state)
{
	static const char *const paths[] = { "folder", "fifo", "/dev/zero" };
	struct error err;
	struct buf out;

	(void)state;
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	buf_init(&out, 10);
	alarm(20);
	for (int i = 0; i < 3; i++) {
		errno = ENOENT;
		assert_int_equal(file_read(paths[i], &out, &err), -1);
		assert_int_equal(err.exit_code, EX_CONFIG);
		assert_non_null(strstr(err.text, "is not a regular file"));
		assert_int_not_equal(errno, ENOENT);
		assert_int_equal(
		    file_read_secret(paths[i], false, &out, &err), -1);
		assert_int_equal(err.exit_code, EX_CONFIG);
		assert_int_equal(file_read_public(paths[i], &out, &err), -1);
		assert_int_equal(err.exit_code, EX_CONFIG);
	}
	alarm(0);
	buf_release(&out);
}

static void
what_not_all_may_read_is_not_public(void **state)
{
	struct error err;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	put("s", "hush", 0640);
	errno = ENOENT;
	assert_int_equal(file_read_public("s", &out, &err), -1);
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_string_equal(err.text, "'s' is not for all to read (mode 0640)");
	assert_string_equal(err.hint, "run 'chmod o+r s'");
	assert_int_not_equal(errno, ENOENT);
	assert_string_equal(out.data, "");
	put("p", "news", 0604);
	assert_int_equal(file_read_public("p", &out, &err), 0);
	assert_string_equal(out.data, "news");
	buf_release(&out);
}

static void
secret_that_others_may_read_is_refused(void **state)
{
	struct error err;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	for (mode_t mode = 0; mode <= 0777; mode++) {
		bool owner = (mode & 0077) == 0, group = (mode & 0037) == 0;

		if ((mode & 0400) == 0)
			continue;
		put("s", "hush", mode);
		buf_clear(&out);
		errno = ENOENT;
		assert_int_equal(
		    file_read_secret("s", false, &out, &err), owner ? 0 : -1);
		assert_string_equal(out.data, owner ? "hush" : "");
		if (!owner) {
			assert_int_equal(err.exit_code, EX_CONFIG);
			assert_string_equal(err.hint, "run 'chmod 600 s'");
			assert_null(strstr(err.text, "hush"));
			assert_int_not_equal(errno, ENOENT);
		}
		buf_clear(&out);
		assert_int_equal(
		    file_read_secret("s", true, &out, &err), group ? 0 : -1);
		unlink("s");
	}
	buf_release(&out);
}

static void
secret_behind_a_link_is_judged_by_what_it_leads_to(void **state)
{
	struct error err;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	put("open", "hush", 0644);
	put("closed", "hush", 0600);
	assert_int_equal(symlink("open", "l1"), 0);
	assert_int_equal(symlink("closed", "l2"), 0);
	assert_int_equal(file_read_secret("l1", false, &out, &err), -1);
	assert_int_equal(file_read_secret("l2", false, &out, &err), 0);
	assert_string_equal(out.data, "hush");
	buf_release(&out);
}

static void
secret_of_another_user_is_refused(void **state)
{
	struct error err;
	struct buf out;

	(void)state;
	if (geteuid() != 0)
		skip();
	buf_init(&out, 100);
	put("s", "hush", 0600);
	assert_int_equal(chown("s", OTHER_UID, 0), 0);
	assert_int_equal(file_read_secret("s", false, &out, &err), -1);
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_string_equal(err.text, "'s' holds a secret and belongs to uid "
				      "65534, not to uid 0 or root");
	assert_string_equal(err.hint, "chown it to uid 0");
	assert_string_equal(out.data, "");
	buf_release(&out);
}

static void
secret_of_root_may_be_read_by_its_group(void **state)
{
	struct error err;
	struct buf out;
	pid_t child;

	(void)state;
	if (geteuid() != 0)
		skip();
	put("s", "hush", 0640);
	assert_int_equal(chown("s", 0, OTHER_UID), 0);
	assert_int_equal(chmod(".", 0755), 0);
	child = fork();
	if (child == 0) {
		buf_init(&out, 100);
		if (setgid(OTHER_UID) == -1 || setuid(OTHER_UID) == -1)
			_exit(9);
		if (file_read_secret("s", false, &out, &err) != -1)
			_exit(1);
		if (file_read_secret("s", true, &out, &err) != 0)
			_exit(2);
		buf_release(&out);
		_exit(0);
	}
	assert_int_equal(exit_of(child), 0);
}

static void
replaced_file_has_the_mode_asked_for(void **state)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	struct error err;

	(void)state;
	for (int i = 0; i < 4; i++) {
		mode_t old = umask(masks[i]);

		assert_int_equal(file_replace("f", "x", 1, 0644, &err), 0);
		assert_int_equal(mode_of("f"), 0644);
		assert_int_equal(file_replace("f", "y", 1, 0600, &err), 0);
		assert_int_equal(mode_of("f"), 0600);
		assert_int_equal(file_replace("new", "y", 1, 0640, &err), 0);
		assert_int_equal(mode_of("new"), 0640);
		assert_int_equal(unlink("new"), 0);
		umask(old);
	}
	holds("f", "y");
	assert_int_equal(entries(), 1);
}

static void
replaced_by_nothing_it_is_empty(void **state)
{
	struct error err;

	(void)state;
	put("f", "old", 0600);
	assert_int_equal(file_replace("f", "", 0, 0600, &err), 0);
	holds("f", "");
}

static void
link_is_replaced_and_not_followed(void **state)
{
	struct error err;
	struct stat status;

	(void)state;
	put("target", "precious", 0600);
	assert_int_equal(symlink("target", "l"), 0);
	assert_int_equal(file_replace("l", "new", 3, 0600, &err), 0);
	assert_int_equal(lstat("l", &status), 0);
	assert_true(S_ISREG(status.st_mode));
	holds("target", "precious");
	holds("l", "new");
}

static void
readers_see_the_old_file_or_the_new_one(void **state)
{
	enum { SIZE = 50000 };
	static char as[SIZE], bs[SIZE];
	struct error err;
	struct buf out;
	pid_t writer;

	(void)state;
	memset(as, 'a', SIZE);
	memset(bs, 'b', SIZE);
	assert_int_equal(file_replace("f", as, SIZE, 0600, &err), 0);
	writer = fork();
	if (writer == 0) {
		for (int i = 0; i < 150; i++)
			if (file_replace(
				"f", i % 2 ? as : bs, SIZE, 0600, &err) == -1)
				_exit(1);
		_exit(0);
	}
	buf_init(&out, SIZE);
	for (;;) {
		int status;

		buf_clear(&out);
		assert_int_equal(file_read("f", &out, &err), 0);
		assert_int_equal(out.len, SIZE);
		assert_memory_equal(
		    out.data, out.data[0] == 'a' ? as : bs, SIZE);
		if (waitpid(writer, &status, WNOHANG) == writer) {
			assert_int_equal(status, 0);
			break;
		}
	}
	buf_release(&out);
	assert_int_equal(entries(), 1);
}

static void
full_disk_leaves_the_old_file_and_no_leftovers(void **state)
{
	static char large[100000];
	struct error err;
	pid_t child;

	(void)state;
	put("f", "old", 0600);
	child = fork();
	if (child == 0) {
		const struct rlimit limit = { 4096, 4096 };

		signal(SIGXFSZ, SIG_IGN);
		if (setrlimit(RLIMIT_FSIZE, &limit) == -1)
			_exit(9);
		if (file_replace("f", large, sizeof(large), 0600, &err) != -1)
			_exit(1);
		_exit(err.exit_code == EX_IOERR && err.class == ERROR_RETRY &&
			      strcmp(err.text, "cannot write 'f': File too "
					       "large") == 0
			  ? 0
			  : 2);
	}
	assert_int_equal(exit_of(child), 0);
	holds("f", "old");
	assert_int_equal(entries(), 1);
}

static void
folder_in_the_way_is_not_replaced(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(file_replace("d", "x", 1, 0600, &err), -1);
	assert_int_equal(err.exit_code, EX_IOERR);
	assert_int_equal(entries(), 1);
}

static void
missing_folder_cannot_take_a_file(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(file_replace("no/f", "x", 1, 0600, &err), -1);
	assert_int_equal(err.exit_code, EX_CANTCREAT);
	assert_int_equal(err.class, ERROR_RETRY);
	assert_non_null(strstr(err.text, "No such file or directory"));
	assert_int_equal(entries(), 0);
}

static void
folders_are_made_with_their_parents_whatever_the_umask(void **state)
{
	char *path = xasprintf("%s/p/q/r", (char *)*state);
	mode_t old = umask(077);
	struct error err;

	assert_int_equal(file_make_folder("a/b/c", 02750, &err), 0);
	assert_int_equal(file_make_folder(path, 0700, &err), 0);
	assert_int_equal(file_make_folder("single", 0711, &err), 0);
	umask(old);
	assert_int_equal(mode_of("a"), 0755);
	assert_int_equal(mode_of("a/b"), 0755);
	assert_int_equal(mode_of("a/b/c"), 02750);
	assert_int_equal(mode_of("p/q/r"), 0700);
	assert_int_equal(mode_of("single"), 0711);
	free(path);
}

static void
folder_that_is_there_is_left_as_it_is(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(file_make_folder("d", 0755, &err), 0);
	assert_int_equal(mode_of("d"), 0700);
	assert_int_equal(symlink("d", "l"), 0);
	assert_int_equal(file_make_folder("l", 0755, &err), 0);
	assert_int_equal(file_make_folder("l/e", 0755, &err), 0);
	assert_int_equal(mode_of("d/e"), 0755);
	assert_int_equal(file_make_folder("/", 0755, &err), 0);
}

/* A parent that could not be made is why, not that it is missing. */
static void
first_reason_for_a_missing_folder_is_told(void **state)
{
	struct error err;
	int status = 0;
	pid_t child;

	(void)state;
	assert_int_equal(mkdir("closed", 0700), 0);
	assert_int_equal(chmod("closed", 0), 0);
	if ((child = fork()) == 0) {
		if (getuid() == 0 && setuid(65534) == -1)
			_exit(2);
		_exit(file_make_folder("/proc/none/d", 0700, &err) == -1 &&
			      strstr(err.text, "No such file") != NULL &&
			      file_make_folder("closed/d", 0700, &err) == -1 &&
			      strstr(err.text, "Permission denied") != NULL &&
			      file_make_folder("/usr/lib/o/d", 0700, &err) ==
				  -1 &&
			      strstr(err.text, "Permission denied") != NULL
			  ? 0
			  : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void
folder_that_cannot_be_is_an_error(void **state)
{
	static const char *const paths[] = { "", "f", "f/d", "f/d/e", "hang" };
	struct error err;

	(void)state;
	put("f", "", 0600);
	assert_int_equal(symlink("nowhere", "hang"), 0);
	for (int i = 0; i < 5; i++) {
		if (file_make_folder(paths[i], 0755, &err) != -1)
			fail_msg("made '%s'", paths[i]);
		assert_int_equal(err.exit_code, EX_CANTCREAT);
	}
}

static void
lock_passes_on_when_its_holder_is_killed(void **state)
{
	struct error err;
	double start;
	pid_t holder;
	char byte;
	int ready[2], fd;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	holder = fork();
	if (holder == 0) {
		if (file_lock("lock", file_now() + 5, &err) == -1)
			_exit(1);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(mode_of("lock"), 0600);

	start = file_now();
	assert_int_equal(file_lock("lock", start + 0.3, &err), -1);
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	assert_int_equal(err.class, ERROR_RETRY);
	assert_string_equal(
	    err.text, "cannot lock 'lock': another process holds it");
	assert_true(file_now() - start >= 0.3);
	assert_true(file_now() - start < 3);

	if (fork() == 0) {
		usleep(300 * 1000);
		kill(holder, SIGKILL);
		_exit(0);
	}
	fd = file_lock("lock", file_now() + 20, &err);
	assert_int_not_equal(fd, -1);
	assert_true(file_now() - start < 15);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	while (wait(NULL) > 0)
		continue;
	close(ready[0]);
	close(ready[1]);
}

static void
lock_that_is_free_is_taken_after_the_deadline_too(void **state)
{
	struct error err;
	int fd, second;

	(void)state;
	fd = file_lock("lock", 0, &err);
	assert_int_not_equal(fd, -1);
	second = file_lock("lock", 0, &err);
	assert_int_equal(second, -1);
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	close(fd);
	fd = file_lock("lock", 0, &err);
	assert_int_not_equal(fd, -1);
	close(fd);
}

static void
lock_does_not_follow_links(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(symlink("elsewhere", "lock"), 0);
	assert_int_equal(file_lock("lock", 0, &err), -1);
	assert_int_equal(err.exit_code, EX_CANTCREAT);
	assert_int_equal(access("elsewhere", F_OK), -1);
	assert_int_equal(file_lock("no/lock", 0, &err), -1);
	assert_int_equal(err.exit_code, EX_CANTCREAT);
}

static void
on_alarm(int number)
{
	(void)number;
}

/* A pipe whose reader is slow, a timer that interrupts all the time. */
static void
writing_goes_on_through_short_writes_and_signals(void **state)
{
	enum { SIZE = 1000 * 1000 };
	const struct itimerval often = { { 0, 2000 }, { 0, 2000 } },
			       off = { 0 };
	const struct sigaction action = { .sa_handler = on_alarm };
	static char bytes[SIZE];
	int ends[2];
	pid_t reader;

	(void)state;
	memset(bytes, 'z', SIZE);
	assert_int_equal(pipe(ends), 0);
	reader = fork();
	if (reader == 0) {
		size_t sum = 0;
		ssize_t n;

		close(ends[1]);
		while ((n = file_read_some(ends[0], bytes, 9999)) > 0) {
			sum += (size_t)n;
			usleep(500);
		}
		_exit(n == 0 && sum == SIZE ? 0 : 1);
	}
	close(ends[0]);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	assert_int_equal(file_write_all(ends[1], bytes, SIZE), 0);
	setitimer(ITIMER_REAL, &off, NULL);
	signal(SIGALRM, SIG_DFL);
	close(ends[1]);
	assert_int_equal(exit_of(reader), 0);
}

static void
full_device_is_an_error(void **state)
{
	int fd = open("/dev/full", O_WRONLY);

	(void)state;
	if (fd == -1)
		skip();
	assert_int_equal(file_write_all(fd, "x", 1), -1);
	assert_int_equal(errno, ENOSPC);
	close(fd);
}

#define IN_FOLDER(test)                                                        \
	cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

static void
file_is_removed_with_what_a_killed_writer_left(void **state)
{
	static const char *const others[] = { "./a.museum", "./a.TooLong7",
		"./a.aB3x-z", "./b.aB3xYz" };
	struct error err;

	(void)state;
	put("./a", "", 0600);
	put("./a.aB3xYz", "", 0600);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		put(others[i], "", 0600);
	assert_int_equal(file_remove("./a", &err), 0);
	assert_int_equal(access("./a", F_OK), -1);
	assert_int_equal(access("./a.aB3xYz", F_OK), -1);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(access(others[i], F_OK), 0);
	assert_int_equal(file_remove("./a", &err), 0);
	assert_int_equal(mkdir("./a", 0700), 0);
	assert_int_equal(file_remove("./a", &err), -1);
	assert_int_equal(err.exit_code, EX_IOERR);
}

/* Until it takes no more; then it must take the rest of what was read. */
static void
check_stuck(int writer, int reader)
{
	char line[1000];
	int written = 0;

	memset(line, 'x', sizeof(line));
	while (written < 1000 &&
	       file_write_within(writer, line, sizeof(line), 0.05) == 0)
		written++;
	assert_int_equal(errno, ETIMEDOUT);
	assert_in_range(written, 1, 999);
	for (int i = 0; i < 8; i++)
		assert_true(file_read_some(reader, line, sizeof(line)) > 0);
	assert_int_equal(file_write_within(writer, line, 10, 60), 0);
}

static void
who_does_not_read_is_not_waited_for(void **state)
{
	struct sigaction action;
	int pipes[2], terminal, side;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	check_stuck(pipes[1], pipes[0]);
	close(pipes[0]);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(file_write_within(pipes[1], "x", 1, 60), -1);
	assert_int_equal(errno, EPIPE);
	close(pipes[1]);
	assert_int_equal(sigaction(SIGUSR1, NULL, &action), 0);
	assert_ptr_equal(action.sa_handler, SIG_DFL);
	/* A root without /dev/pts has none. */
	terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal == -1 || unlockpt(terminal) == -1)
		return;
	side = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(side != -1);
	check_stuck(side, terminal);
	close(side);
	close(terminal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(file_of_exactly_the_maximum_is_read),
		IN_FOLDER(file_of_one_byte_more_is_refused_and_leaves_nothing),
		IN_FOLDER(large_and_binary_files_are_read_whole),
		IN_FOLDER(empty_file_is_read),
		IN_FOLDER(missing_file_sets_enoent),
		IN_FOLDER(file_is_removed_with_what_a_killed_writer_left),
		IN_FOLDER(what_is_no_regular_file_is_refused_without_waiting),
		IN_FOLDER(what_not_all_may_read_is_not_public),
		IN_FOLDER(secret_that_others_may_read_is_refused),
		IN_FOLDER(secret_behind_a_link_is_judged_by_what_it_leads_to),
		IN_FOLDER(secret_of_another_user_is_refused),
		IN_FOLDER(secret_of_root_may_be_read_by_its_group),
		IN_FOLDER(replaced_file_has_the_mode_asked_for),
		IN_FOLDER(replaced_by_nothing_it_is_empty),
		IN_FOLDER(link_is_replaced_and_not_followed),
		IN_FOLDER(readers_see_the_old_file_or_the_new_one),
		IN_FOLDER(full_disk_leaves_the_old_file_and_no_leftovers),
		IN_FOLDER(folder_in_the_way_is_not_replaced),
		IN_FOLDER(missing_folder_cannot_take_a_file),
		IN_FOLDER(
		    folders_are_made_with_their_parents_whatever_the_umask),
		IN_FOLDER(folder_that_is_there_is_left_as_it_is),
		IN_FOLDER(folder_that_cannot_be_is_an_error),
		IN_FOLDER(first_reason_for_a_missing_folder_is_told),
		IN_FOLDER(lock_passes_on_when_its_holder_is_killed),
		IN_FOLDER(lock_that_is_free_is_taken_after_the_deadline_too),
		IN_FOLDER(lock_does_not_follow_links),
		IN_FOLDER(writing_goes_on_through_short_writes_and_signals),
		IN_FOLDER(full_device_is_an_error),
		cmocka_unit_test(who_does_not_read_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
