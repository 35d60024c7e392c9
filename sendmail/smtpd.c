#include "sendmail/smtpd.h"

#include <errno.h>
#include <poll.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/account.h"
#include "account/alias_file.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "sendmail/transfer.h"
#include "smtp/server.h"
#include "submit/handoff.h"

#define CHUNK_SIZE (64u * 1024)
#define NOTES_MAX (8u * 1024)

struct session {
	const struct smtpd_setup *setup;
	struct smtp_server *server;
	struct caller caller; /* of the message: it has a time and a name */
	struct options options;
	char *sender;
	struct transfer transfer;
	struct buf notes; /* what submit says beside its answer */
	bool queued;      /* … which is that the message waits */
	bool broken;      /* nobody reads what we say */
	char host[CALLER_HOST_SIZE];
};

/* All of it, also where the client has made our end O_NONBLOCK. */
static int
write_output(const char *bytes, size_t len)
{
	struct pollfd client = { .fd = STDOUT_FILENO, .events = POLLOUT };
	ssize_t n;

	while (len > 0) {
		n = write(STDOUT_FILENO, bytes, len);
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (n == -1 && errno == EAGAIN)
			(void)poll(&client, 1, -1);
		else if (n == -1 && errno != EINTR)
			return -1;
	}
	return 0;
}

static void
flush(struct session *s)
{
	const struct buf *output = server_output(s->server);

	if (!s->broken && write_output(output->data, output->len) == -1)
		s->broken = true;
	server_written(s->server);
}

/* The most that any account of this caller may send. */
static unsigned long long
max_size(const struct config *c, const struct caller *who)
{
	const struct account_caller caller = caller_for_account(who);
	unsigned long long most = 0;

	for (size_t i = 0; i < c->account_count; i++) {
		const struct account *a = &c->accounts[i];

		if ((unsigned long long)a->max_size > most &&
		    account_permits(c, a, &caller))
			most = (unsigned long long)a->max_size;
	}
	return most;
}

/* The header's From may still choose an account; but who may use none need
 * not go on. */
static int
check_rights(const struct session *s, struct error *err)
{
	const struct account_caller caller = caller_for_account(&s->caller);
	const struct config *c = s->setup->aliases->config;
	struct account_choice choice;

	for (size_t i = 0; i < c->account_count; i++)
		if (account_permits(c, &c->accounts[i], &caller))
			return 0;
	return account_choose(
	    c, &caller, (const char *const *)&s->sender, 1, &choice, err);
}

/* What holds of the command line for a message that comes by SMTP. */
static void
set_options(struct session *s)
{
	struct options *o = &s->options;

	*o = *s->setup->options;
	o->recipients_from_header = false;
	o->ignore_dots = true;
	o->sender = s->sender;
	o->mail_errors = false; /* the reply tells */
	if (o->no_recipient == NO_RECIPIENT_TO)
		o->no_recipient = NO_RECIPIENT_UNDISCLOSED;
	o->notify = o->ret = o->envid = NULL;
}

static int
on_mail(void *arg, const struct smtp_command *command, struct error *err)
{
	struct session *s = arg;
	const struct smtpd_setup *setup = s->setup;

	caller_release(&s->caller);
	caller_init(&s->caller, setup->caller);
	free(s->sender);
	s->sender = mailbox_address(&command->address);
	if (check_rights(s, err) == -1)
		return -1;
	set_options(s);
	transfer_init(&s->transfer, &s->options, setup->aliases, &s->caller,
	    setup->handoff);
	if (command->ret != NULL)
		s->transfer.message.envelope.ret = xstrdup(command->ret);
	if (command->envid != NULL)
		s->transfer.message.envelope.envid = xstrdup(command->envid);
	return 0;
}

/* What the client knows better than we. */
static void
take_wish(char **out, const char *value)
{
	if (value == NULL)
		return;
	free(*out);
	*out = xstrdup(value);
}

static int
on_rcpt(void *arg, const struct smtp_command *command, struct error *err)
{
	struct session *s = arg;
	struct envelope *e = &s->transfer.message.envelope;
	size_t before = e->count;

	if (compose_recipient(&s->transfer.message, &command->address, err) ==
	    -1)
		return -1;
	for (size_t i = before; i < e->count; i++) {
		take_wish(&e->recipients[i].notify, command->notify);
		take_wish(&e->recipients[i].original, command->original);
	}
	return 0;
}

static int
on_content(void *arg, const char *bytes, size_t len, struct error *err)
{
	struct session *s = arg;

	return content_write(&s->transfer.content, bytes, len, err);
}

/* Lines of the dialogue go where they do without -bs, notes into the reply. */
static void
on_line(void *arg, char kind, const char *text)
{
	struct session *s = arg;
	char clean[8192];

	if (kind == 'T') {
		(void)fprintf(
		    stderr, "%s\n", log_clean(clean, sizeof(clean), text));
		return;
	}
	if (kind == 'N' &&
	    strncmp(text, HANDOFF_QUEUED, strlen(HANDOFF_QUEUED)) == 0)
		s->queued = true;
	(void)buf_addf(&s->notes, "; %s%s", kind == 'I' ? "hint: " : "", text);
}

static int
send_message(struct session *s, struct error *err)
{
	struct transfer *t = &s->transfer;

	if (content_finish(&t->content, err) == -1 ||
	    transfer_end(t, err) == -1)
		return -1;
	buf_clear(&s->notes);
	s->queued = false;
	return handoff_result(s->setup->handoff, on_line, s, err);
}

static int
on_end(void *arg, struct buf *text, struct error *err)
{
	struct session *s = arg;

	flush(s);
	if (send_message(s, err) == -1)
		return -1;
	/* A note of the queue says its own. */
	if (s->queued)
		(void)buf_adds(text, s->notes.data + strlen("; "));
	else
		(void)buf_addf(text, "%s%s%s",
		    s->options.queue_only ? HANDOFF_QUEUED : "sent as ",
		    s->setup->handoff->id, s->notes.data);
	return 0;
}

static void
on_reset(void *arg)
{
	struct session *s = arg;

	transfer_release(&s->transfer);
}

static void
session_begin(struct session *s, const struct smtpd_setup *setup)
{
	struct server_options options = {
		.mail = on_mail,
		.rcpt = on_rcpt,
		.content = on_content,
		.end = on_end,
		.reset = on_reset,
		.arg = s,
	};

	*s = (struct session){ .setup = setup };
	buf_init(&s->notes, NOTES_MAX);
	caller_init(&s->caller, setup->caller);
	strlcpy(s->host, s->caller.host, sizeof(s->host));
	options.host = s->host;
	options.max_size = max_size(setup->aliases->config, &s->caller);
	s->server = server_new(&options);
}

static void
session_end(struct session *s)
{
	server_free(s->server);
	buf_release(&s->notes);
	caller_release(&s->caller);
	free(s->sender);
}

/* Let the session have the bytes, and the client what it says to them. */
static void
take(struct session *s, const char *bytes, size_t len)
{
	while (len > 0 && !s->broken) {
		size_t used = server_receive(s->server, bytes, len);

		bytes += used;
		len -= used;
		flush(s);
		/* A submit that is gone takes no further messages. */
		if (s->setup->handoff->child == -1 &&
		    !server_closed(s->server)) {
			struct error gone;

			error_set(&gone, EX_TEMPFAIL, "4.3.0",
			    "submit has ended; closing");
			server_give_up(s->server, &gone);
			flush(s);
		}
	}
}

/* Until the client says QUIT, leaves, or is idle. */
static void
converse(struct session *s)
{
	struct pollfd client = { .fd = STDIN_FILENO, .events = POLLIN };
	char *chunk = xmalloc(CHUNK_SIZE);
	ssize_t n = 1;
	int ready;

	while (n != 0 && !s->broken && !server_closed(s->server)) {
		ready = poll(&client, 1, SERVER_IDLE_SECONDS * 1000);
		if (ready == 0) {
			server_idle(s->server);
			flush(s);
		}
		if (ready == -1 && errno != EINTR)
			break;
		if (ready <= 0)
			continue;
		n = file_read_some(STDIN_FILENO, chunk, CHUNK_SIZE);
		if (n > 0)
			take(s, chunk, (size_t)n);
		else if (n == -1 && errno != EAGAIN)
			break;
	}
	free(chunk);
}

static int
result_of(const struct session *s, struct error *err)
{
	if (s->broken)
		return error_set(err, EX_IOERR, "4.3.0",
		    "the client does not read what is said to it");
	if (server_in_mail(s->server))
		return error_set(err, EX_TEMPFAIL, "4.4.2",
		    "the client left within a message, which was not sent");
	return server_result(s->server, err);
}

int
smtpd(const struct smtpd_setup *setup, struct error *err)
{
	struct session s;
	int result;

	session_begin(&s, setup);
	server_greet(s.server);
	flush(&s);
	converse(&s);
	result = result_of(&s, err);
	session_end(&s);
	return result;
}

void
smtpd_turn_away(const struct smtpd_setup *setup, const struct error *why)
{
	struct session s;

	session_begin(&s, setup);
	server_turn_away(s.server, why);
	flush(&s);
	session_end(&s);
}
