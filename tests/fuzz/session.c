/* A whole session with a server that says anything. The first byte of the
 * input chooses options; a byte 0x01 in the server's words is a cut: what the
 * session wants is done before the rest is heard. No command may be broken,
 * nothing secret may be said before TLS, and every recipient of a message
 * that is done has a state. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/envelope.h"
#include "smtp/session.h"

#define TURNS 1000

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_output(struct smtp_session *s, bool tls)
{
	const struct buf *out = session_output(s);
	const char *p = out->data, *end = out->data + out->len;

	for (; p < end; p++) {
		if (*p == '\r' && p + 1 < end && p[1] == '\n')
			p++;
		else if ((unsigned char)*p < ' ')
			abort();
	}
	if (out->len > 0 && end[-1] != '\n')
		abort();
	if (!tls && (strstr(out->data, "AUTH") != NULL ||
			strstr(out->data, "MAIL") != NULL))
		abort();
	session_written(s);
}

/* Do what is wanted until a reply is, or nothing more. */
static bool
serve(struct smtp_session *s, struct envelope *e, bool *tls, int *job)
{
	for (int turn = 0; turn < TURNS; turn++) {
		check_output(s, *tls);
		switch (session_want(s)) {
		case SESSION_TLS:
			*tls = true;
			session_tls_started(s);
			break;
		case SESSION_BODY:
			if (session_chunking(s))
				session_chunk(s, 100, true);
			check_output(s, *tls);
			session_body_sent(s);
			break;
		case SESSION_IDLE:
			if (session_more(s) || (*job)++ == 1)
				session_send(s, e, 100);
			else if (*job == 1)
				session_auth(s, "a@b.example", "token");
			else
				return false;
			break;
		case SESSION_REPLY:
			return true;
		case SESSION_CLOSED:
			return false;
		}
	}
	abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const char *p = (const char *)bytes + 1, *end = p + len - 1;
	struct session_options options = { .helo = "h.example" };
	struct smtp_session *s;
	struct envelope e;
	bool tls = false;
	int job = 0;

	if (len == 0)
		return 0;
	options.chunking = (bytes[0] & 1) != 0;
	options.two_step_auth = (bytes[0] & 2) != 0;
	options.max_recipients = (bytes[0] & 4) != 0 ? 2 : 0;
	envelope_init(&e);
	e.sender = xstrdup("a@b.example");
	(void)envelope_add(&e, "one@c.example", NULL);
	(void)envelope_add(&e, "two@c.example", NULL);
	(void)envelope_add(&e, "three@c.example", NULL);
	s = session_new(&options);
	while (serve(s, &e, &tls, &job) && p < end) {
		const char *cut = memchr(p, 1, (size_t)(end - p));
		size_t n = (size_t)((cut != NULL ? cut : end) - p);

		session_receive(s, p, n);
		p += n + (cut != NULL);
	}
	if (session_want(s) == SESSION_CLOSED && job < 2 &&
	    session_result(s, NULL) == 0 && job > 0 && !tls)
		abort();
	session_free(s);
	envelope_release(&e);
	return 0;
}
