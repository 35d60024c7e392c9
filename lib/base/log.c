#include "base/log.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdarg.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <vis.h>

#include "base/file.h"

#define LINE_SIZE 2048
#define WAIT_SECONDS 1.0 /* for who reads standard error */

static struct {
	enum log_target target;
	const char *program;
	int fd;
} state = { .target = LOG_TO_NOTHING, .program = "", .fd = -1 };

void
log_open(enum log_target target, const char *program, const char *path)
{
	if (state.fd != -1 && state.target == LOG_TO_FILE)
		close(state.fd);
	state.target = target;
	state.program = program;
	state.fd = STDERR_FILENO;
	if (target == LOG_TO_FILE) {
		state.fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC |
					  O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
		if (state.fd == -1)
			state.target = LOG_TO_SYSLOG;
	}
	if (state.target == LOG_TO_SYSLOG)
		openlog(program, LOG_PID, LOG_MAIL);
}

char *
log_tag(char out[LOG_TAG_SIZE], const char *text)
{
	size_t used = 0;

	for (; *text != '\0' && used < LOG_TAG_SIZE - 1; text++)
		if (isascii((unsigned char)*text) &&
		    (isalnum((unsigned char)*text) ||
			strchr("._/+@-", *text) != NULL))
			out[used++] = *text;
	out[used] = '\0';
	return out;
}

/* The length of the UTF-8 character at 'text', or 0 when it is none
 * (RFC 3629 section 4; overlong forms and surrogates are none). */
static size_t
utf8_length(const unsigned char *text)
{
	unsigned char c = text[0], d = text[1];
	size_t len;

	if (c < 0xc2 || c > 0xf4 || (d & 0xc0) != 0x80)
		return 0;
	if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) ||
	    (c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f))
		return 0;
	len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	for (size_t i = 2; i < len; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* stravis(3) knows one locale, ours is none, so that UTF-8 passes it in
 * pieces: what is UTF-8 and no C1 control stays, the rest is made visible. */
size_t
log_clean_piece(char piece[LOG_PIECE_SIZE], const char *text)
{
	const unsigned char *in = (const unsigned char *)text;
	size_t take = *in < 0x80 ? 1 : utf8_length(in);

	/* vis(3) leaves printable ASCII as it is, and is slow. */
	if ((take == 1 && *in >= ' ' && *in < 0x7f) ||
	    (take > 1 && (in[0] != 0xc2 || in[1] >= 0xa0))) {
		memcpy(piece, in, take);
		piece[take] = '\0';
		return take;
	}
	vis(piece, *in, VIS_OCTAL | VIS_CSTYLE | VIS_NL | VIS_TAB | VIS_NOSLASH,
	    *in != '\0' ? in[1] : '0');
	return 1;
}

char *
log_clean(char *out, size_t size, const char *text)
{
	size_t used = 0;

	while (*text != '\0') {
		char piece[LOG_PIECE_SIZE];
		size_t take = log_clean_piece(piece, text);
		size_t len = strlen(piece);

		if (used + len + 1 > size)
			break;
		memcpy(out + used, piece, len);
		used += len;
		text += take;
	}
	if (size > 0)
		out[used] = '\0';
	return out;
}

static void
write_line(const char *line)
{
	char text[LINE_SIZE + 128], stamp[40] = "";
	struct tm local;
	time_t now = time(NULL);

	if (localtime_r(&now, &local) != NULL)
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S%z ", &local);
	(void)snprintf(text, sizeof(text), "%s%s[%ld]: %s\n", stamp,
	    state.program, (long)getpid(), line);
	if (state.target == LOG_TO_STDERR)
		(void)file_write_within(
		    state.fd, text, strlen(text), WAIT_SECONDS);
	else
		(void)file_write_all(state.fd, text, strlen(text));
}

void
log_line(int priority, const char *format, ...)
{
	char text[LINE_SIZE], clean[LINE_SIZE];
	va_list ap;

	if (state.target == LOG_TO_NOTHING)
		return;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	log_clean(clean, sizeof(clean), text);
	if (state.target == LOG_TO_SYSLOG)
		syslog(priority, "%s", clean);
	else
		write_line(clean);
}
