#include "sendmail/handover.h"

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
	struct handover *h = arg;

	if (compose_envelope(&h->message, &content->header, err) == -1)
		return -1;
	return handoff_envelope(h->handoff, &h->message.envelope, err);
}

static int
on_body(void *arg, const char *bytes, size_t len, struct error *err)
{
	struct handover *h = arg;

	return handoff_body(h->handoff, bytes, len, err);
}

void
handover_init(struct handover *h, const struct options *options,
    struct alias_file *aliases, const struct caller *caller,
    struct handoff *handoff)
{
	h->handoff = handoff;
	message_init(&h->message, options, aliases, caller);
	h->message.is_denied = is_denied;
	h->message.is_denied_arg = handoff;
	content_init(&h->content, on_body, h);
	h->content.begin = on_header;
	h->content.lines = CONTENT_KEEP;
}

void
handover_release(struct handover *h)
{
	handoff_drop(h->handoff);
	message_release(&h->message);
	content_release(&h->content);
}

int
handover_end(struct handover *h, struct error *err)
{
	struct handoff_end end = {
		.body_size = h->content.size,
		.queue_only = h->message.options->queue_only,
		.mail_errors = h->message.options->mail_errors,
	};
	struct buf header;
	int result = -1;

	buf_init(&header, HANDOFF_HEADER_MAX);
	end.lines = compose_lines(&h->message, &h->content);
	if (compose_header(&h->message, &h->content, &header, err) == -1)
		goto out;
	end.eight_bit = h->message.envelope.eight_bit;
	end.smtputf8 = h->message.envelope.smtputf8;
	if (handoff_header(h->handoff, header.data, header.len, err) == -1)
		goto out;
	result = handoff_end(h->handoff, &end, err);
out:
	buf_release(&header);
	return result;
}
