#include "queue/entry.h"

#include <sysexits.h>
#include <unistd.h>

#include "base/record.h"

#define RECORD_TYPE "message"

void
entry_init(struct entry *e)
{
	*e = (struct entry){ .body_fd = -1 };
	error_clear(&e->why);
	envelope_init(&e->envelope);
	buf_init(&e->header, ENTRY_HEADER_MAX);
}

void
entry_release(struct entry *e)
{
	if (e->body_fd != -1)
		close(e->body_fd);
	envelope_release(&e->envelope);
	buf_release(&e->header);
	entry_init(e);
}

static void
put_unless_zero(struct buf *out, const char *key, long long value)
{
	if (value != 0)
		record_put_number(out, key, value);
}

void
entry_format(const struct entry *e, struct buf *out)
{
	record_begin(out, RECORD_TYPE);
	record_put_number(out, "uid", (long long)e->uid);
	record_put_number(out, "arrived", (long long)e->arrived);
	record_put_number(out, "size", (long long)e->size);
	record_put_number(out, "header", (long long)e->header.len);
	put_unless_zero(out, "attempts", e->attempts);
	put_unless_zero(out, "tried", (long long)e->tried);
	put_unless_zero(out, "on_hold", e->on_hold);
	put_unless_zero(out, "held", (long long)e->held);
	put_unless_zero(out, "warned", e->warned);
	put_unless_zero(out, "notice", e->notice);
	put_unless_zero(out, "drew_hold", e->drew_hold);
	if (e->why.class != ERROR_NONE)
		record_put_error(out, &e->why);
	(void)buf_addc(out, '\n');
	envelope_format(&e->envelope, out);
	(void)buf_addc(out, '\n');
	(void)buf_add(out, e->header.data, e->header.len);
}

/* Where what follows the record at 'text' begins, or 0. */
static size_t
after_record(const char *text, size_t len)
{
	const char *end = memmem(text, len, "\n\n", 2);

	return end == NULL ? 0 : (size_t)(end - text) + 2;
}

size_t
entry_header_at(const char *text, size_t len)
{
	size_t first = after_record(text, len), second;

	if (first == 0)
		return 0;
	second = after_record(text + first, len - first);
	return second == 0 ? 0 : first + second;
}

static int
cut(struct error *err)
{
	return error_set(err, EX_SOFTWARE, "5.3.5", "the file was cut");
}

/* An optional number. */
static int
get_number(const struct record *r, const char *key, long long max,
    long long *out, struct error *err)
{
	*out = 0;
	if (record_get(r, key) == NULL ||
	    record_get_number(r, key, 0, max, out) == 0)
		return 0;
	return error_set(
	    err, EX_SOFTWARE, "5.3.5", "'%s' is no such number", key);
}

static int
read_message(struct entry *e, const struct record *r, long long *header_len,
    struct error *err)
{
	long long uid, arrived, size, tried, held, warned, notice, drew_hold;

	if (record_get_number(r, "uid", 0, UINT32_MAX, &uid) == -1 ||
	    record_get_number(r, "arrived", 0, INT64_MAX, &arrived) == -1 ||
	    record_get_number(r, "size", 0, INT64_MAX, &size) == -1 ||
	    record_get_number(r, "header", 0, ENTRY_HEADER_MAX, header_len) ==
		-1)
		return error_set(err, EX_SOFTWARE, "5.3.5",
		    "the record of the message is not complete");
	if (get_number(r, "attempts", INT32_MAX, &e->attempts, err) == -1 ||
	    get_number(r, "tried", INT64_MAX, &tried, err) == -1 ||
	    get_number(r, "on_hold", INT64_MAX, &e->on_hold, err) == -1 ||
	    get_number(r, "held", INT64_MAX, &held, err) == -1 ||
	    get_number(r, "warned", 1, &warned, err) == -1 ||
	    get_number(r, "notice", 1, &notice, err) == -1 ||
	    get_number(r, "drew_hold", 1, &drew_hold, err) == -1)
		return -1;
	if (record_get(r, "class") != NULL &&
	    record_get_error(r, &e->why) == -1)
		return error_set(err, EX_SOFTWARE, "5.3.5",
		    "the record of the last failure is not complete");
	e->uid = (uid_t)uid;
	e->arrived = (time_t)arrived;
	e->size = (uint64_t)size;
	e->header_size = (uint64_t)*header_len;
	e->tried = (time_t)tried;
	e->held = (time_t)held;
	e->warned = warned == 1;
	e->notice = notice == 1;
	e->drew_hold = drew_hold == 1;
	return 0;
}

static int
read_parts(struct entry *e, const char *text, size_t len, bool brief,
    struct error *err)
{
	size_t first = after_record(text, len);
	size_t header_at = entry_header_at(text, len);
	struct record record;
	long long header_len = 0;
	int result;

	if (header_at == 0)
		return cut(err);
	if (first - 1 > ENTRY_RECORD_MAX)
		return error_set(err, EX_SOFTWARE, "5.3.5",
		    "the record of the message is too long");
	if (record_parse(&record, RECORD_TYPE, text, first - 1, err) == -1)
		return -1;
	result = read_message(e, &record, &header_len, err);
	record_release(&record);
	if (result == -1 || envelope_parse(&e->envelope, text + first,
				header_at - 1 - first, err) == -1)
		return -1;
	if (brief)
		return 0;
	if (len - header_at != (size_t)header_len)
		return cut(err);
	return buf_add(&e->header, text + header_at, (size_t)header_len);
}

int
entry_parse(struct entry *e, const char *text, size_t len, bool brief,
    struct error *err)
{
	struct entry parsed;

	entry_init(&parsed);
	if (read_parts(&parsed, text, len, brief, err) == -1) {
		entry_release(&parsed);
		/* A bad address in it is a mistake of ours too. */
		if (err != NULL)
			err->exit_code = EX_SOFTWARE;
		return -1;
	}
	strlcpy(parsed.id, e->id, sizeof(parsed.id));
	parsed.folder = e->folder;
	parsed.next = e->next;
	parsed.kept = e->kept;
	parsed.body_fd = e->body_fd;
	e->body_fd = -1;
	entry_release(e);
	*e = parsed;
	return 0;
}

time_t
entry_due(time_t next, time_t now)
{
	return next > now + ENTRY_DELAY_MAX ? now : next;
}
