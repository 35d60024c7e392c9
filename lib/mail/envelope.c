#include "mail/envelope.h"

#include <stdint.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/record.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "mail/xtext.h"

#define RECORD_TYPE "envelope"
/* From so many octets on a verdict's text is cut, and has no hint: what can be
 * handed on in the first place (HANDOFF_ENVELOPE_MAX) then stays a record,
 * whatever a server says of each recipient. */
#define CROWDED (6u * 1024 * 1024)
#define CROWDED_TEXT 80

/* A hash table over the recipients, open addressing, at most half full. */
struct envelope_slot {
	uint64_t hash;
	size_t place; /* index of the recipient + 1; 0: free */
};

void
envelope_init(struct envelope *e)
{
	*e = (struct envelope){ .account = NULL };
}

static void
release_recipient(struct recipient *r)
{
	free(r->address);
	free(r->original);
	free(r->notify);
	free(r->error);
}

void
envelope_release(struct envelope *e)
{
	for (size_t i = 0; i < e->count; i++)
		release_recipient(&e->recipients[i]);
	free(e->recipients);
	free(e->index);
	free(e->account);
	free(e->sender);
	free(e->notify);
	free(e->ret);
	free(e->envid);
	free(e->report_to);
	envelope_init(e);
}

/* FNV-1a; letters of the domain are alike in either case. */
static uint64_t
hash_address(const char *address)
{
	const char *domain = address_domain(address);
	uint64_t hash = 0xcbf29ce484222325u;

	for (const char *p = address; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (domain != NULL && p >= domain && c >= 'A' && c <= 'Z')
			c = (unsigned char)(c - 'A' + 'a');
		hash = (hash ^ c) * 0x100000001b3u;
	}
	return hash ^ hash >> 32;
}

static void
put_slot(struct envelope_slot *slots, size_t size, struct envelope_slot slot)
{
	size_t at = slot.hash & (size - 1);

	while (slots[at].place != 0)
		at = (at + 1) & (size - 1);
	slots[at] = slot;
}

static void
grow_index(struct envelope *e)
{
	size_t size = e->index_size == 0 ? 64 : e->index_size * 2;
	struct envelope_slot *slots = xcalloc(size, sizeof(*slots));

	for (size_t i = 0; i < e->index_size; i++)
		if (e->index[i].place != 0)
			put_slot(slots, size, e->index[i]);
	free(e->index);
	e->index = slots;
	e->index_size = size;
}

static bool
is_known(const struct envelope *e, const char *address, uint64_t hash)
{
	size_t at = hash & (e->index_size - 1);

	if (e->recipients == NULL)
		return false;
	for (; e->index[at].place != 0; at = (at + 1) & (e->index_size - 1))
		if (e->index[at].hash == hash &&
		    address_same(
			e->recipients[e->index[at].place - 1].address, address))
			return true;
	return false;
}

int
envelope_add(struct envelope *e, const char *address, struct error *err)
{
	uint64_t hash = hash_address(address);

	if (2 * (e->count + 1) > e->index_size)
		grow_index(e);
	if (is_known(e, address, hash))
		return 0;
	if (e->count == ENVELOPE_RECIPIENTS_MAX)
		return error_set(err, EX_DATAERR, "5.5.3",
		    "the message has more than %u recipients",
		    ENVELOPE_RECIPIENTS_MAX);
	if (e->count == e->room) {
		e->room = e->room == 0 ? 16 : e->room * 2;
		e->recipients = xreallocarray(
		    e->recipients, e->room, sizeof(*e->recipients));
	}
	e->recipients[e->count++] =
	    (struct recipient){ .address = xstrdup(address) };
	put_slot(e->index, e->index_size,
	    (struct envelope_slot){ .hash = hash, .place = e->count });
	return 0;
}

void
envelope_cut(struct envelope *e, size_t count)
{
	struct envelope_slot *before = e->index;

	if (count >= e->count)
		return;
	while (e->count > count)
		release_recipient(&e->recipients[--e->count]);
	e->index = xcalloc(e->index_size, sizeof(*e->index));
	for (size_t i = 0; i < e->index_size; i++)
		if (before[i].place != 0 && before[i].place <= count)
			put_slot(e->index, e->index_size, before[i]);
	free(before);
}

void
envelope_verdict(struct envelope *e, size_t i, const struct error *verdict)
{
	struct recipient *r = &e->recipients[i];

	free(r->error);
	r->error = NULL;
	if (verdict == NULL || verdict->class == ERROR_NONE) {
		r->state = RECIPIENT_SENT;
		return;
	}
	r->state = verdict->class == ERROR_REFUSED ? RECIPIENT_REFUSED
						   : RECIPIENT_PENDING;
	r->error = xmalloc(sizeof(*r->error));
	*r->error = *verdict;
}

const char *
envelope_notify(const struct envelope *e, size_t i)
{
	const char *own = e->recipients[i].notify;

	return own != NULL ? own : e->notify;
}

size_t
envelope_count_state(const struct envelope *e, enum recipient_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < e->count; i++)
		if (e->recipients[i].state == state)
			n++;
	return n;
}

static const char *const state_names[] = {
	[RECIPIENT_PENDING] = "pending",
	[RECIPIENT_SENT] = "sent",
	[RECIPIENT_REFUSED] = "refused",
};
#define STATES (sizeof(state_names) / sizeof(state_names[0]))

static void
put_if(struct buf *out, const char *key, const char *value)
{
	if (value != NULL)
		record_put(out, key, value);
}

static bool
same_error(const struct error *a, const struct error *b)
{
	return a->exit_code == b->exit_code && a->class == b->class &&
	       a->retry_after == b->retry_after &&
	       a->uncertain == b->uncertain &&
	       strcmp(a->status, b->status) == 0 &&
	       strcmp(a->text, b->text) == 0 && strcmp(a->hint, b->hint) == 0;
}

/* "75 retry 0 no 4.4.1 the sentence". */
static void
put_error(struct buf *out, const struct error *err)
{
	bool crowded = out->len > CROWDED;
	char *line = xasprintf("%d %s %u %s %s %.*s", err->exit_code,
	    error_class_name(err->class), err->retry_after,
	    err->uncertain ? "yes" : "no", err->status,
	    crowded ? CROWDED_TEXT : ERROR_TEXT_SIZE, err->text);

	record_put(out, "error", line);
	free(line);
	if (err->hint[0] != '\0' && !crowded)
		record_put(out, "hint", err->hint);
}

/* Recipients of one transaction mostly share a verdict: it is written once,
 * then as "same". */
static void
put_recipient(
    struct buf *out, const struct recipient *r, const struct error **last)
{
	record_put(out, "recipient", r->address);
	put_if(out, "original", r->original);
	put_if(out, "recipient-notify", r->notify);
	if (r->state != RECIPIENT_PENDING)
		record_put(out, "state", state_names[r->state]);
	if (r->told)
		record_put(out, "told", "yes");
	if (r->error == NULL)
		return;
	if (*last != NULL && same_error(*last, r->error))
		record_put(out, "error", "same");
	else
		put_error(out, r->error);
	*last = r->error;
}

void
envelope_format(const struct envelope *e, struct buf *out)
{
	const struct error *last = NULL;

	record_begin(out, RECORD_TYPE);
	put_if(out, "account", e->account);
	put_if(out, "sender", e->sender);
	put_if(out, "notify", e->notify);
	put_if(out, "ret", e->ret);
	put_if(out, "envid", e->envid);
	put_if(out, "report-to", e->report_to);
	if (e->eight_bit)
		record_put(out, "eight-bit", "yes");
	if (e->smtputf8)
		record_put(out, "smtputf8", "yes");
	for (size_t i = 0; i < e->count; i++)
		put_recipient(out, &e->recipients[i], &last);
}

static int
bad_value(const char *key, struct error *err)
{
	return error_set(
	    err, EX_DATAERR, "5.6.0", "bad value of '%s' in envelope", key);
}

static int
read_address(char **out, const char *value, struct error *err)
{
	if (*out != NULL)
		return bad_value("address", err);
	if (address_smtp_safe(value, NULL, err) == -1)
		return error_prefix(err, "envelope");
	*out = xstrdup(value);
	return 0;
}

static int
read_flag(bool *out, const char *key, const char *value, struct error *err)
{
	if (strcmp(value, "yes") != 0)
		return bad_value(key, err);
	*out = true;
	return 0;
}

static int
read_envid(struct envelope *e, const char *value, struct error *err)
{
	if (e->envid != NULL || !dsn_is_envid(value))
		return bad_value("envid", err);
	e->envid = xstrdup(value);
	return 0;
}

/* A field of the message; 0, -1, or 1 for an unknown key. */
static int
read_message_field(
    struct envelope *e, const char *key, const char *value, struct error *err)
{
	if (strcmp(key, "account") == 0)
		return read_address(&e->account, value, err);
	if (strcmp(key, "sender") == 0)
		return read_address(&e->sender, value, err);
	if (strcmp(key, "report-to") == 0)
		return read_address(&e->report_to, value, err);
	if (strcmp(key, "notify") == 0)
		return e->notify != NULL ? bad_value(key, err)
					 : dsn_notify(value, &e->notify, err);
	if (strcmp(key, "ret") == 0)
		return e->ret != NULL ? bad_value(key, err)
				      : dsn_ret(value, &e->ret, err);
	if (strcmp(key, "envid") == 0)
		return read_envid(e, value, err);
	if (strcmp(key, "eight-bit") == 0)
		return read_flag(&e->eight_bit, key, value, err);
	if (strcmp(key, "smtputf8") == 0)
		return read_flag(&e->smtputf8, key, value, err);
	return 1;
}

static int
read_recipient(struct envelope *e, const char *value, struct error *err)
{
	size_t before = e->count;

	if (address_smtp_safe(value, NULL, err) == -1)
		return error_prefix(err, "envelope");
	if (envelope_add(e, value, err) == -1)
		return -1;
	return e->count > before ? 0 : bad_value("recipient", err);
}

static int
read_original(struct recipient *r, const char *value, struct error *err)
{
	if (r->original != NULL || !dsn_is_orcpt(value))
		return bad_value("original", err);
	r->original = xstrdup(value);
	return 0;
}

static int
read_state(struct recipient *r, const char *value, struct error *err)
{
	for (size_t i = 0; i < STATES; i++)
		if (strcmp(value, state_names[i]) == 0) {
			r->state = (enum recipient_state)i;
			return 0;
		}
	return bad_value("state", err);
}

/* The next word of '*text' in 'out'; false when it does not fit. */
static bool
next_word(const char **text, char *out, size_t size)
{
	size_t len = strcspn(*text, " ");

	if (len == 0 || len >= size || (*text)[len] == '\0')
		return false;
	memcpy(out, *text, len);
	out[len] = '\0';
	*text += len + 1;
	return true;
}

static int
parse_error_line(struct error *out, const char *text)
{
	char code[12], class[16], retry[12], uncertain[4];
	char status[ERROR_STATUS_SIZE];
	const char *bad_code = NULL, *bad_retry = NULL;
	enum error_class parsed;
	unsigned seconds;
	int exit_code;

	if (!next_word(&text, code, sizeof(code)) ||
	    !next_word(&text, class, sizeof(class)) ||
	    !next_word(&text, retry, sizeof(retry)) ||
	    !next_word(&text, uncertain, sizeof(uncertain)) ||
	    !next_word(&text, status, sizeof(status)) ||
	    error_class_parse(class, &parsed) == -1)
		return -1;
	exit_code = (int)strtonum(code, 0, 255, &bad_code);
	seconds = (unsigned)strtonum(retry, 0, UINT32_MAX, &bad_retry);
	if (bad_code != NULL || bad_retry != NULL ||
	    (strcmp(uncertain, "yes") != 0 && strcmp(uncertain, "no") != 0))
		return -1;
	(void)error_set(out, exit_code, status, "%s", text);
	(void)error_class_set(out, parsed, seconds);
	out->uncertain = strcmp(uncertain, "yes") == 0;
	return 0;
}

static int
read_error(struct recipient *r, const char *value, const struct error **last,
    struct error *err)
{
	struct error parsed;

	if (r->error != NULL)
		return bad_value("error", err);
	if (strcmp(value, "same") == 0) {
		if (*last == NULL)
			return bad_value("error", err);
		parsed = **last;
	} else if (parse_error_line(&parsed, value) == -1)
		return bad_value("error", err);
	r->error = xmalloc(sizeof(*r->error));
	*r->error = parsed;
	*last = r->error;
	return 0;
}

/* A field of the last recipient. */
static int
read_recipient_field(struct envelope *e, const char *key, const char *value,
    const struct error **last, struct error *err)
{
	struct recipient *r;

	if (e->count == 0)
		return bad_value(key, err);
	r = &e->recipients[e->count - 1];
	if (strcmp(key, "original") == 0)
		return read_original(r, value, err);
	if (strcmp(key, "recipient-notify") == 0)
		return r->notify != NULL ? bad_value(key, err)
					 : dsn_notify(value, &r->notify, err);
	if (strcmp(key, "state") == 0)
		return read_state(r, value, err);
	if (strcmp(key, "told") == 0)
		return read_flag(&r->told, key, value, err);
	if (strcmp(key, "error") == 0)
		return read_error(r, value, last, err);
	if (strcmp(key, "hint") == 0 && r->error != NULL) {
		(void)error_hint(r->error, "%s", value);
		return 0;
	}
	return error_set(
	    err, EX_DATAERR, "5.6.0", "unknown field '%s' in envelope", key);
}

static int
read_field(struct envelope *e, const struct record_field *f,
    const struct error **last, struct error *err)
{
	int result;

	if (strcmp(f->key, "recipient") == 0)
		return read_recipient(e, f->value, err);
	result = read_message_field(e, f->key, f->value, err);
	if (result != 1)
		return result;
	return read_recipient_field(e, f->key, f->value, last, err);
}

int
envelope_parse(
    struct envelope *e, const char *text, size_t len, struct error *err)
{
	const struct error *last = NULL;
	struct envelope parsed;
	struct record record;
	int result = -1;

	envelope_init(&parsed);
	record_init(&record);
	if (record_parse(&record, RECORD_TYPE, text, len, err) == -1)
		goto out;
	for (size_t i = 0; i < record.count; i++)
		if (read_field(&parsed, &record.fields[i], &last, err) == -1)
			goto out;
	envelope_release(e);
	*e = parsed;
	envelope_init(&parsed);
	result = 0;
out:
	record_release(&record);
	envelope_release(&parsed);
	return result;
}
