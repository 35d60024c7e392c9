/* Any bytes as an SMTP client: what is answered and taken must not depend on
 * where they are cut, replies are whole lines with a code, and the callbacks
 * come in the order of a transaction. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "smtp/server.h"

#define TEXT_MAX (64u * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct talk {
	struct buf said;
	struct buf events;
	bool mail, content;
	unsigned recipients;
};

static int
on_mail(void *arg, const struct smtp_command *c, struct error *err)
{
	struct talk *t = arg;

	(void)err;
	if (t->mail)
		abort();
	t->mail = true;
	(void)buf_addf(&t->events, "mail %s@%s\n", c->address.local,
	    c->address.domain != NULL ? c->address.domain : "");
	return 0;
}

static int
on_rcpt(void *arg, const struct smtp_command *c, struct error *err)
{
	struct talk *t = arg;
	char *address = mailbox_address(&c->address);

	(void)err;
	if (!t->mail || t->content || *address == '\0' ||
	    strpbrk(address, "\r\n") != NULL)
		abort();
	free(address);
	t->recipients++;
	return 0;
}

static int
on_content(void *arg, const char *bytes, size_t len, struct error *err)
{
	struct talk *t = arg;

	(void)err;
	if (t->recipients == 0 || len == 0)
		abort();
	t->content = true;
	return buf_add(&t->events, bytes, len);
}

static int
on_end(void *arg, struct buf *text, struct error *err)
{
	struct talk *t = arg;

	(void)err;
	if (t->recipients == 0)
		abort();
	return buf_adds(text, "sent");
}

static void
on_reset(void *arg)
{
	struct talk *t = arg;

	if (!t->mail)
		abort();
	t->mail = t->content = false;
	t->recipients = 0;
	(void)buf_adds(&t->events, "reset\n");
}

static void
check_replies(const struct buf *said)
{
	for (const char *line = said->data; *line != '\0';) {
		const char *end = strstr(line, "\r\n");

		if (end == NULL ||
		    (size_t)(end - line) > SERVER_REPLY_LINE_MAX ||
		    end - line < 4 || line[0] < '2' || line[0] > '5' ||
		    (line[3] != ' ' && line[3] != '-'))
			abort();
		line = end + 2;
	}
}

static void
talk(struct talk *t, const char *bytes, size_t len, size_t step)
{
	const struct server_options options = {
		.host = "web1.example",
		.max_size = 1000,
		.mail = on_mail,
		.rcpt = on_rcpt,
		.content = on_content,
		.end = on_end,
		.reset = on_reset,
		.arg = t,
	};
	struct smtp_server *s = server_new(&options);
	size_t used;

	*t = (struct talk){ .mail = false };
	buf_init(&t->said, TEXT_MAX);
	buf_init(&t->events, TEXT_MAX);
	for (size_t at = 0; at < len; at += used) {
		used = server_receive(
		    s, bytes + at, len - at < step ? len - at : step);
		if (used == 0 ||
		    strlen(server_output(s)->data) != server_output(s)->len)
			abort();
		(void)buf_adds(&t->said, server_output(s)->data);
		server_written(s);
	}
	server_free(s);
	check_replies(&t->said);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct talk whole, cut;

	talk(&whole, (const char *)bytes, len, TEXT_MAX);
	talk(&cut, (const char *)bytes, len, 1);
	/* Content is cut off at its cap by the piece, so that only what was
	 * said must be alike. */
	if (strcmp(whole.said.data, cut.said.data) != 0 ||
	    (len < 1000 && (whole.events.len != cut.events.len ||
			       memcmp(whole.events.data, cut.events.data,
				   cut.events.len) != 0)))
		abort();
	buf_release(&whole.said);
	buf_release(&whole.events);
	buf_release(&cut.said);
	buf_release(&cut.events);
	return 0;
}
