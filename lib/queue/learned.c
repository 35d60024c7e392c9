#include "queue/learned.h"

#include "account/config.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/record.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "queue/state.h"

#define RECORD_TYPE "learned"
#define FILE_MAX (64u * 1024)
#define DAY 86400

/* A field is "two-step: 1764000000 smtp.office365.com:587": the lesson, until
 * when it holds, what it is about. That is a uid and an address in
 * "denied: 1764000000 33 boss@contoso.com". */
static const struct {
	const char *key;
	time_t seconds; /* it is good for so long */
} lessons[] = {
	[LEARNED_TWO_STEP] = { "two-step", (time_t)30 * DAY },
	[LEARNED_DENIED] = { "denied", LEARNED_DENIED_SECONDS },
	[LEARNED_NOT_KEPT] = { "not-kept", DAY },
};
#define LESSONS (sizeof(lessons) / sizeof(lessons[0]))

/* An empty record where there is none that can be read. */
static void
load(struct record *record, const char *path)
{
	struct buf text;

	record_init(record);
	buf_init(&text, FILE_MAX);
	if (file_read(path, &text, NULL) == -1 ||
	    record_parse(record, RECORD_TYPE, text.data, text.len, NULL) ==
		-1) {
		record_release(record);
		record_init(record);
	}
	buf_release(&text);
}

/* Does the field hold at this time? Then what it is about, else NULL. A date
 * beyond the lesson's own term is a clock's fault. */
static const char *
read_field(const struct record_field *field, time_t now, enum lesson *lesson)
{
	char *end;
	long long until = strtoll(field->value, &end, 10);

	for (size_t i = 0; i < LESSONS; i++)
		if (strcmp(field->key, lessons[i].key) == 0) {
			*lesson = (enum lesson)i;
			return *end == ' ' && now < until &&
				       until <= now + lessons[i].seconds
				   ? end + 1
				   : NULL;
		}
	return NULL;
}

static bool
is_about(const struct record_field *field, enum lesson lesson,
    const char *about, time_t now)
{
	enum lesson its;
	const char *text = read_field(field, now, &its);

	return text != NULL && its == lesson && strcasecmp(text, about) == 0;
}

bool
learned_knows(const struct config *config, const struct account *account,
    enum lesson lesson, const char *about, time_t now)
{
	char *path = state_path(config, account, "learned");
	struct record record;
	bool known = false;

	load(&record, path);
	for (size_t i = 0; i < record.count && !known; i++)
		known = is_about(&record.fields[i], lesson, about, now);
	record_release(&record);
	free(path);
	return known;
}

/* Are both denied addresses of one user? */
static bool
is_same_user(
    const char *text, enum lesson its, enum lesson lesson, const char *about)
{
	return its == LEARNED_DENIED && lesson == LEARNED_DENIED &&
	       strncmp(text, about, strcspn(about, " ") + 1) == 0;
}

/* The lessons that still hold, but for the one that is noted anew, and for
 * the oldest where there are too many. */
static void
put_others(struct buf *out, struct record *record, enum lesson lesson,
    const char *about, time_t now)
{
	size_t kept = 1, of_user = 1;

	for (size_t i = record->count; i-- > 0;) {
		struct record_field *field = &record->fields[i];
		enum lesson its;
		const char *text = read_field(field, now, &its);
		bool same =
		    text != NULL && is_same_user(text, its, lesson, about);

		if (text == NULL || kept == LEARNED_MAX ||
		    (same && of_user == LEARNED_USER_MAX) ||
		    is_about(field, lesson, about, now)) {
			field->key = NULL;
			continue;
		}
		kept++;
		of_user += same;
	}
	for (size_t i = 0; i < record->count; i++)
		if (record->fields[i].key != NULL)
			record_put(out, record->fields[i].key,
			    record->fields[i].value);
}

int
learned_note(const struct config *config, const struct account *account,
    enum lesson lesson, const char *about, time_t now, struct error *err)
{
	char *path = state_path(config, account, "learned");
	char *value;
	struct record record;
	struct buf text;
	int result;

	buf_init(&text, FILE_MAX);
	record_begin(&text, RECORD_TYPE);
	load(&record, path);
	put_others(&text, &record, lesson, about, now);
	value = xasprintf(
	    "%lld %s", (long long)now + lessons[lesson].seconds, about);
	record_put(&text, lessons[lesson].key, value);
	result = state_make_folder(config, err);
	if (result == 0)
		result = file_replace(path, text.data, text.len, 0600, err);
	record_release(&record);
	buf_release(&text);
	free(value);
	free(path);
	return result;
}

static char *
denied(uid_t uid, const char *from)
{
	return xasprintf("%u %s", (unsigned)uid, from);
}

bool
learned_is_denied(const struct config *config, const struct account *account,
    uid_t uid, const char *from, time_t now)
{
	char *about;
	bool known;

	if (address_same_mailbox(from, account->mailbox))
		return false;
	about = denied(uid, from);
	known = learned_knows(config, account, LEARNED_DENIED, about, now);
	free(about);
	return known;
}

int
learned_note_denied(const struct config *config, const struct account *account,
    uid_t uid, const char *from, time_t now, struct error *err)
{
	char *about;
	int result;

	if (address_same_mailbox(from, account->mailbox))
		return 0;
	about = denied(uid, from);
	result = learned_note(config, account, LEARNED_DENIED, about, now, err);
	free(about);
	return result;
}
