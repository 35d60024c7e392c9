#include "sendmail/transfer.h"

#include "base/buf.h"
#include "submit/handoff.h"

static bool
is_denied(void *arg, const char *address)
{
	return handoff_is_denied(arg, address);
}

/* The header is complete: who gets it, and as whom? */
static int
on_header(void *arg, struct content *content, struct error *err)
{
	struct transfer *t = arg;

	if (compose_envelope(&t->message, &content->header, err) == -1)
		return -1;
	return handoff_envelope(t->handoff, &t->message.envelope, err);
}

static int
on_body(void *arg, const char *bytes, size_t len, struct error *err)
{
	struct transfer *t = arg;

	return handoff_body(t->handoff, bytes, len, err);
}

void
transfer_init(struct transfer *t, const struct options *options,
    struct alias_file *aliases, const struct caller *caller,
    struct handoff *handoff)
{
	t->handoff = handoff;
	message_init(&t->message, options, aliases, caller);
	t->message.is_denied = is_denied;
	t->message.is_denied_arg = handoff;
	content_init(&t->content, on_body, t);
	t->content.begin = on_header;
	t->content.lines = CONTENT_KEEP;
	t->content.ignore_dots = options->ignore_dots;
}

void
transfer_release(struct transfer *t)
{
	handoff_drop(t->handoff);
	message_release(&t->message);
	content_release(&t->content);
}

int
transfer_end(struct transfer *t, struct error *err)
{
	struct handoff_end end = {
		.body_size = t->content.size,
		.queue_only = t->message.options->queue_only,
		.mail_errors = t->message.options->mail_errors,
	};
	struct buf header;
	int result = -1;

	buf_init(&header, HANDOFF_HEADER_MAX);
	end.lines = compose_lines(&t->message, &t->content);
	if (compose_header(&t->message, &t->content, &header, err) == -1)
		goto out;
	end.eight_bit = t->message.envelope.eight_bit;
	end.smtputf8 = t->message.envelope.smtputf8;
	if (handoff_header(t->handoff, header.data, header.len, err) == -1)
		goto out;
	result = handoff_end(t->handoff, &end, err);
out:
	buf_release(&header);
	return result;
}
