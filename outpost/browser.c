#include "outpost/browser.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/authorize.h"
#include "base/file.h"
#include "base/startup.h"
#include "base/xalloc.h"

#define WORDS_MAX 16
#define NOTHING_RAN 127

/* Who is at the keyboard, as a name; NULL when that is root or unknown. */
static const char *
person(void)
{
	const char *id = getenv("SUDO_UID"), *why = "not given";
	const struct passwd *entry;
	uid_t uid = getuid();

	if (uid == 0 && id != NULL)
		uid = (uid_t)strtonum(id, 1, UINT32_MAX - 1, &why);
	if (uid == 0 || (entry = getpwuid(uid)) == NULL)
		return NULL;
	return entry->pw_name;
}

bool
browser_is_near(void)
{
	const char *display = getenv("DISPLAY");

	if (startup_variable("SSH_CONNECTION") != NULL ||
	    startup_variable("SSH_CLIENT") != NULL ||
	    startup_variable("SSH_TTY") != NULL || person() == NULL)
		return false;
	/* host:0 is another machine's, or forwarded. */
	return startup_variable("WAYLAND_DISPLAY") != NULL ||
	       (display != NULL && *display == ':');
}

/* sudo leaves root's home and no session; a browser needs the person's. */
static int
become_person(const char *name)
{
	const struct passwd *entry;
	char *runtime;

	if (getuid() != 0)
		return 0;
	if (startup_become(name, NULL) == -1 ||
	    (entry = getpwuid(getuid())) == NULL)
		return -1;
	runtime = xasprintf("/run/user/%ld", (long)entry->pw_uid);
	(void)setenv("HOME", entry->pw_dir, 1);
	(void)setenv("USER", entry->pw_name, 1);
	(void)setenv("LOGNAME", entry->pw_name, 1);
	(void)setenv("XDG_RUNTIME_DIR", runtime, 1);
	(void)unsetenv("DBUS_SESSION_BUS_ADDRESS");
	free(runtime);
	return 0;
}

/* The word with %s replaced; 'placed' tells that it was. */
static char *
place_address(const char *word, const char *url, bool *placed)
{
	const char *mark = strstr(word, "%s");

	if (mark == NULL)
		return xstrdup(word);
	*placed = true;
	return xasprintf("%.*s%s%s", (int)(mark - word), word, url, mark + 2);
}

/* Returns only if it cannot be run. */
static void
run_command(char *command, const char *url)
{
	char *argv[WORDS_MAX + 2], *word;
	bool placed = false;
	size_t n = 0;

	while (n < WORDS_MAX && (word = strsep(&command, " \t")) != NULL)
		if (*word != '\0')
			argv[n++] = place_address(word, url, &placed);
	if (n == 0)
		return;
	if (!placed)
		argv[n++] = xstrdup(url);
	argv[n] = NULL;
	(void)execvp(argv[0], argv);
}

static void
run_browser(const char *url)
{
	const char *browsers = startup_variable("BROWSER");
	char xdg_open[] = "xdg-open", *list, *command;

	if (browsers != NULL) {
		list = xstrdup(browsers);
		while ((command = strsep(&list, ":")) != NULL)
			run_command(command, url);
		return;
	}
	run_command(xdg_open, url);
}

/* A session of its own: the terminal's Ctrl-C is for us and not for it. */
static void
leave_terminal(int *address)
{
	int null = open("/dev/null", O_RDWR);

	if (null == -1 || dup2(*address, 3) == -1)
		_exit(NOTHING_RAN);
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(null, fd) == -1)
			_exit(NOTHING_RAN);
	*address = 3;
	closefrom(4);
	(void)setsid();
	(void)signal(SIGPIPE, SIG_DFL);
}

/* The process that becomes the browser once an address comes; where none
 * does, it ends. */
static void
wait_for_address(int address, const char *name)
{
	struct buf url;
	ssize_t n = 1;

	leave_terminal(&address);
	if (become_person(name) == -1)
		_exit(NOTHING_RAN);
	buf_init(&url, AUTHORIZE_URL_MAX);
	while (n > 0) {
		char *room = buf_room(&url, 1024);

		n = room == NULL ? -1 : file_read_some(address, room, 1024);
		if (n > 0)
			buf_grown(&url, (size_t)n);
	}
	close(address);
	if (n == -1 || url.len == 0)
		_exit(0);
	run_browser(url.data);
	_exit(NOTHING_RAN);
}

void
browser_prepare(struct browser *browser)
{
	const char *name = person();
	int pipes[2];

	*browser = (struct browser){ .pid = -1, .address = -1 };
	if (name == NULL || pipe2(pipes, O_CLOEXEC) == -1)
		return;
	browser->pid = fork();
	if (browser->pid == 0) {
		close(pipes[1]);
		wait_for_address(pipes[0], name);
	}
	close(pipes[0]);
	if (browser->pid == -1)
		close(pipes[1]);
	else
		browser->address = pipes[1];
}

static void
end_address(struct browser *browser)
{
	if (browser->address != -1)
		close(browser->address);
	browser->address = -1;
}

void
browser_open(struct browser *browser, const char *url)
{
	if (browser->address != -1)
		(void)file_write_all(browser->address, url, strlen(url));
	end_address(browser);
}

bool
browser_failed(struct browser *browser)
{
	int status;

	if (browser->pid <= 0) {
		bool first = browser->pid == -1;

		browser->pid = 0;
		return first;
	}
	if (waitpid(browser->pid, &status, WNOHANG) != browser->pid)
		return false;
	browser->pid = 0;
	return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

void
browser_release(struct browser *browser)
{
	end_address(browser);
}
