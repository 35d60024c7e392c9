/* Sign-in by an address that is opened in a browser elsewhere, and by the
 * address where that browser ends, which is pasted here. It ends at
 * http://localhost, where no page answers: its address bar is what counts.
 */
#include <poll.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "account/config.h"
#include "auth/redirect.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "outpost/login.h"
#include "outpost/show.h"
#include "smtp/wait.h"

#define REDIRECT_URI "http://localhost"
/* What a terminal takes in one line; the rest is lost (termios(3)). */
#define TERMINAL_LINE_MAX 4095u

static void
show_address(
    struct login_courier *courier, struct login *l, const char *url, int round)
{
	(void)courier;
	if (round > 0)
		printf("\nMicrosoft asks for another proof of who you are.\n");
	printf("To sign in %s, with a browser on any machine, open\n\n"
	       "  %s%s%s\n\n",
	    l->account->mailbox, show_style(SHOW_BOLD), url,
	    show_style(SHOW_PLAIN));
	login_show_whom(l);
	printf("At the end the browser shows an error, as nothing answers "
	       "at " REDIRECT_URI
	       ":\nthat is expected. Copy the whole address of "
	       "that page, paste it here, and press\nEnter within %d "
	       "minutes; Ctrl-C gives up.\n\n",
	    (int)LOGIN_SECONDS / 60);
}

static void
prompt(void)
{
	if (isatty(STDIN_FILENO) == 1)
		printf("address: ");
	(void)fflush(stdout);
}

/* One byte; 0 at the end of the input, -1 past the deadline. */
static int
read_byte(double deadline, char *c)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	if (wait_poll(NULL, &in, 1, deadline) <= 0)
		return -1;
	return file_read_some(STDIN_FILENO, c, 1) == 1;
}

/* A line, or what comes before the end of the input. */
static int
read_line(const struct login *l, struct buf *out, struct error *err)
{
	int got;
	char c;

	buf_clear(out);
	while ((got = read_byte(l->end, &c)) == 1 && c != '\n') {
		if (c == '\0')
			c = ' ';
		(void)buf_addc(out, c);
	}
	return got == -1 ? login_too_late(l, err) : 0;
}

/* A terminal in its usual mode cuts what is longer, without a word. */
static bool
was_cut(const struct buf *line)
{
	struct termios mode;

	return line->len >= TERMINAL_LINE_MAX &&
	       tcgetattr(STDIN_FILENO, &mode) == 0 &&
	       (mode.c_lflag & ICANON) != 0;
}

static int
cut(const struct login *l, struct error *err)
{
	error_set(err, EX_DATAERR, "5.6.0",
	    "the pasted address is longer than the %u bytes that the terminal "
	    "takes in a line",
	    TERMINAL_LINE_MAX);
	return error_hint(err,
	    "run 'stty -icanon; outpost login --paste %s; stty icanon'",
	    l->account->mailbox);
}

/* A slip at a terminal can be mended; a script's input cannot. */
static int
receive_pasted(struct login_courier *courier, struct login *l,
    const char *state, struct redirect *out, struct error *err)
{
	struct error why;
	struct buf line;
	int result;

	(void)courier;
	/* Nobody can follow an address that is not seen. */
	if (outpost_flush(err) == -1)
		return -1;
	buf_init(&line, REDIRECT_PASTE_MAX + 1);
	do {
		prompt();
		result = read_line(l, &line, &why);
		if (result == -1)
			break;
		if (was_cut(&line)) {
			result = cut(l, &why);
			break;
		}
		result = redirect_pasted(out, line.data, state, &why);
		if (result == -1 && isatty(STDIN_FILENO) == 1 && line.len > 0)
			(void)fprintf(
			    stderr, "%s\n  hint: %s\n", why.text, why.hint);
	} while (result == -1 && isatty(STDIN_FILENO) == 1 && line.len > 0);
	buf_release(&line);
	if (result == -1)
		*err = why;
	return result;
}

static void
say_nothing(
    struct login_courier *courier, struct login *l, const struct error *failure)
{
	(void)courier;
	(void)l;
	(void)failure;
}

int
login_paste(struct login *l, struct error *err)
{
	struct login_courier courier = { show_address, receive_pasted,
		say_nothing };

	return login_code(l, &courier, REDIRECT_URI, err);
}
